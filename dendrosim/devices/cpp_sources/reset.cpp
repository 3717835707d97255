{# USES_VARIABLES { N } #}
{# A template of Brian2's C++ standalone device, in place of its own: N may be a variable. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% set _eventspace = get_array_name(eventspace_variable) %}
    const int32_t* _events = {{_eventspace}};
    const int32_t _num_events = {{_eventspace}}[_num{{eventspace_variable.name}} - 1];

    // scalar code
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    {{openmp_pragma('parallel-static')}}
    for (int32_t _index_events = 0; _index_events < _num_events; _index_events++)
    {
        const size_t _idx = _events[_index_events];
        const size_t _vectorisation_idx = _idx;
        {{vector_code|autoindent}}
    }
{% endblock %}
