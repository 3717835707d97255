: Kepecs-Wang (2000), dendrite
NEURON {
    SUFFIX kwd
    NONSPECIFIC_CURRENT i
    RANGE q, drive
}
PARAMETER { drive = 0 }
ASSIGNED { v (mV) i (mA/cm2) }
STATE { q }
INITIAL { q = 0 }
BREAKPOINT {
    LOCAL l
    SOLVE states METHOD cnexp
    l = 1/(1 + exp(-(v + 57.7)/7.7))
    i = 1e-3*(0.18*(v + 65) + 0.12*l*l*l*(v - 55) + 0.8*q*(v + 90) - drive)
}
DERIVATIVE states {
    LOCAL qinf, rate
    qinf = 1/(1 + exp(-(v + 35)/6.5))
    rate = (exp((v + 55)/30) + exp(-(v + 55)/30))/200
    q' = (qinf - q)*rate
}
