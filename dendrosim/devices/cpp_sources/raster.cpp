{# USES_VARIABLES { N } #}
{# What raster.Raster does in a step: a bit a neuron, whether its condition holds. #}
{% extends 'common_group.cpp' %}
{% block maincode %}
    {% set fired = get_array_name(fired_variable, access_data=False) %}
    // scalar code
    const int _vectorisation_idx = -1;
    {{scalar_code|autoindent}}

    static char _holds[N + 8];
    const int _N = N;
    {{openmp_pragma('parallel-static')}}
    for (int _idx = 0; _idx < _N; _idx++)
    {
        const size_t _vectorisation_idx = _idx;
        {{vector_code|autoindent}}
        _holds[_idx] = _cond;
    }
    // Eight bytes that are 0 or 1 into the bits of one, the first neuron's lowest
    for (int _from = 0; _from < _N; _from += 8)
    {
        uint64_t _eight;
        memcpy(&_eight, _holds + _from, 8);
        {{fired}}.push_back((_eight*UINT64_C(0x0102040810204080)) >> 56);
    }
{% endblock %}
