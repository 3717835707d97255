: Kepecs-Wang (2000), soma and dendrite in one mechanism each: cnexp gates, instantaneous m and l
NEURON {
    SUFFIX kws
    NONSPECIFIC_CURRENT il, ina, ik
    RANGE h, n, drive
}
PARAMETER { drive = 0 }
ASSIGNED { v (mV) il (mA/cm2) ina (mA/cm2) ik (mA/cm2) gna gk gl }
STATE { h n }
INITIAL { h = 0.9 n = 0.1 }
BREAKPOINT {
    LOCAL am, bm, m
    : m follows the voltage at once; with the numerical slope of m the implicit step is unstable
    CONDUCTANCE gna
    CONDUCTANCE gk
    CONDUCTANCE gl
    SOLVE states METHOD cnexp
    am = linoid(-0.1*(v + 31))
    bm = 4*exp(-(v + 56)/18)
    m = am/(am + bm)
    gna = 55e-3*m*m*m*h
    gk = 20e-3*n*n*n*n
    gl = 0.18e-3
    ina = gna*(v - 55)
    ik = gk*(v + 90)
    il = gl*(v + 65) - 1e-3*drive
}
DERIVATIVE states {
    LOCAL ah, bh, an, bn
    ah = 0.07*exp(-(v + 47)/20)
    bh = 1/(1 + exp(-0.1*(v + 17)))
    an = 0.1*linoid(-0.1*(v + 34))
    bn = 0.125*exp(-(v + 44)/80)
    h' = 3.33*(ah*(1 - h) - bh*h)
    n' = 3.33*(an*(1 - n) - bn*n)
}
FUNCTION linoid(x) {
    if (fabs(x) < 1e-6) { linoid = 1 - x/2 } else { linoid = x/(exp(x) - 1) }
}
