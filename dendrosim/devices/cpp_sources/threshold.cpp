{# USES_VARIABLES { N } #}
{# A template of Brian2's C++ standalone device, in place of its own. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% set events = get_array_name(eventspace_variable) %}
    // scalar code
    const int _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    // Every neuron's condition first, without a branch, so that the loop vectorises; then 64 neurons
    // at a time, of which all are below threshold nearly always
    static char _holds[_num{{eventspace_variable.name}} + 63];
    const int _N = {{constant_or_scalar('N', variables['N'])}};
    {{openmp_pragma('parallel-static')}}
    for (int _idx = 0; _idx < _N; _idx++)
    {
        const size_t _vectorisation_idx = _idx;
        {{vector_code|autoindent}}
        _holds[_idx] = _cond;
    }
    int32_t _count = 0;
    for (int _from = 0; _from < _N; _from += 64)
    {
        int64_t _eights[8], _any = 0;
        memcpy(_eights, _holds + _from, 64);
        for (int _k = 0; _k < 8; _k++) _any |= _eights[_k];
        if (!_any) continue;
        for (int _idx = _from; _idx < _from + 64; _idx++)
        {
            if (!_holds[_idx]) continue;
            {{events}}[_count++] = _idx;
            {% if _uses_refractory %}
            {{not_refractory}}[_idx] = false;
            {{lastspike}}[_idx] = {{t}};
            {% endif %}
        }
    }
    {{events}}[_num{{eventspace_variable.name}} - 1] = _count;
{% endblock %}

{% block after_code %}
{% set events = get_array_name(eventspace_variable) %}
{{events}}[_num{{eventspace_variable.name}} - 1] = 0;  // where the number of events stands
{% endblock %}
