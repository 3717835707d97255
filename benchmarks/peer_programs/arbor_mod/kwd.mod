: Kepecs-Wang (2000), dendrite: cnexp gate; l follows the voltage at once
NEURON {
    SUFFIX kwd
    NONSPECIFIC_CURRENT i
    RANGE drive
}
PARAMETER { drive = 0 }
STATE { q }
INITIAL { q = 0 }
BREAKPOINT {
    SOLVE states METHOD cnexp
    LOCAL l, gp, gk
    l = 1/(1 + exp(-(v + 57.7)/7.7))
    gp = 0.12e-3*l*l*l
    gk = 0.8e-3*q
    i = gp*(v - 55) + gk*(v + 90) + 0.18e-3*(v + 65) - 1e-3*drive
}
DERIVATIVE states {
    LOCAL qinf, rate
    qinf = 1/(1 + exp(-(v + 35)/6.5))
    rate = (exp((v + 55)/30) + exp(-(v + 55)/30))/200
    q' = (qinf - q)*rate
}
