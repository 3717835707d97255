: Kepecs-Wang (2000), dendrite
NEURON {
    SUFFIX kwd
    NONSPECIFIC_CURRENT il, ip, ik
    RANGE q, drive
}
PARAMETER { drive = 0 }
ASSIGNED { v (mV) il (mA/cm2) ip (mA/cm2) ik (mA/cm2) gp gk gl }
STATE { q }
INITIAL { q = 0 }
BREAKPOINT {
    LOCAL l
    CONDUCTANCE gp
    CONDUCTANCE gk
    CONDUCTANCE gl
    SOLVE states METHOD cnexp
    l = 1/(1 + exp(-(v + 57.7)/7.7))
    gp = 0.12e-3*l*l*l
    gk = 0.8e-3*q
    gl = 0.18e-3
    ip = gp*(v - 55)
    ik = gk*(v + 90)
    il = gl*(v + 65) - 1e-3*drive
}
DERIVATIVE states {
    LOCAL qinf, rate
    qinf = 1/(1 + exp(-(v + 35)/6.5))
    rate = (exp((v + 55)/30) + exp(-(v + 55)/30))/200
    q' = (qinf - q)*rate
}
