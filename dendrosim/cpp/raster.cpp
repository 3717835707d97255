{# USES_VARIABLES { N } #}
{# What raster.Raster does in a step: a byte a neuron, whether its condition holds. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% set fired = get_array_name(fired_variable, access_data=False) %}
    // scalar code
    const int _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    const int _N = N;
    {{fired}}.resize({{fired}}.size() + _N);
    char* __restrict _fired = &{{fired}}[0] + ({{fired}}.size() - _N);
    {{openmp_pragma('parallel-static')}}
    for (int _idx = 0; _idx < _N; _idx++)
    {
        const size_t _vectorisation_idx = _idx;
        {{vector_code|autoindent}}
        _fired[_idx] = _cond;
    }
{% endblock %}
