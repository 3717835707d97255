: Kepecs-Wang (2000), soma: cnexp gates; m follows the voltage at once
NEURON {
    SUFFIX kws
    NONSPECIFIC_CURRENT i
}
STATE { h n }
INITIAL { h = 0.9 n = 0.1 }
BREAKPOINT {
    SOLVE states METHOD cnexp
    LOCAL am, bm, m, gna, gk
    am = exprelr(-0.1*(v + 31))
    bm = 4*exp(-(v + 56)/18)
    m = am/(am + bm)
    gna = 55e-3*m*m*m*h
    gk = 20e-3*n*n*n*n
    i = gna*(v - 55) + gk*(v + 90) + 0.18e-3*(v + 65)
}
DERIVATIVE states {
    LOCAL ah, bh, an, bn
    ah = 0.07*exp(-(v + 47)/20)
    bh = 1/(1 + exp(-0.1*(v + 17)))
    an = 0.1*exprelr(-0.1*(v + 34))
    bn = 0.125*exp(-(v + 44)/80)
    h' = 3.33*(ah*(1 - h) - bh*h)
    n' = 3.33*(an*(1 - n) - bn*n)
}
