// Pinsky-Rinzel (1994, erratum 1995) by exponential Euler (Rush-Larsen), written by hand from the
// equations.  mV, ms, uA/cm2, mS/cm2, uF/cm2.
#include "loop.hpp"

template <class R> struct Neurons
{
    int n;
    R *v_s, *v_d, *h, *k, *s, *c, *q, *Ca, *I_s, *I_d;  // k: gate of the delayed rectifier

    explicit Neurons(int size)
        : n(size), v_s(filled<R>(n, -64.6)), v_d(filled<R>(n, -64.5)), h(filled<R>(n, 0.999)),
          k(filled<R>(n, 0.001)), s(filled<R>(n, 0.009)), c(filled<R>(n, 0.007)),
          q(filled<R>(n, 0.010)), Ca(filled<R>(n, 0.2)), I_s(filled<R>(n, 0)), I_d(filled<R>(n, 0))
    {
    }

    int step(int from, int to, R dt, uint8_t* __restrict crossed)
    {
        const R g_L = 0.1, g_Na = 30, g_KDR = 15, g_Ca = 10, g_KAHP = 0.8, g_KC = 15, g_c = 2.1;
        const R E_L = -60, E_Na = 60, E_Ca = 80, E_K = -75, C_m = 3, p = 0.5, threshold = -25;
        const R to_soma = g_c/p, to_dendrite = g_c/(1 - p), per_C = 1/C_m;
        Array<R> vs = v_s, vd = v_d, hh = h, nn = k, ss = s, cc = c, qq = q, ca = Ca;
        const R *__restrict is = I_s, *__restrict id = I_d;
        int fired = 0;
#pragma GCC ivdep
        for (int i = from; i < to; i++)
        {
            const R v = vs[i], d = vd[i], h0 = hh[i], n0 = nn[i], s0 = ss[i], c0 = cc[i],
                    q0 = qq[i], Ca0 = ca[i];
            const R alpha_m = R(1.28)*linoid((R(-46.9) - v)*R(0.25));
            const R beta_m = R(1.4)*linoid((v + R(19.9))*R(0.2));
            const R alpha_n = R(0.08)*linoid((R(-24.9) - v)*R(0.2));
            const R beta_n = R(0.25)*std::exp(-1 - R(0.025)*v);
            const R alpha_h = R(0.128)*std::exp((-43 - v)*R(1./18));
            const R beta_h = 4/(1 + std::exp((-20 - v)*R(0.2)));
            const R alpha_s = R(1.6)/(1 + std::exp(R(-0.072)*(d - 5)));
            const R beta_s = R(0.1)*linoid((d + R(8.9))*R(0.2));
            const R total_c = 2*std::exp((R(-53.5) - d)*R(1./27));
            const R low = std::exp((d + 50)*R(1./11) - (d + R(53.5))*R(1./27))*R(1/18.975);
            const R alpha_c = d <= -10 ? low : total_c;
            const R rate_c = total_c;  // alpha_c + beta_c on both sides
            const R alpha_q = R(2e-5)*Ca0 < R(0.01) ? R(2e-5)*Ca0 : R(0.01);
            const R chi = Ca0*R(1./250) < 1 ? Ca0*R(1./250) : R(1);
            const R m = alpha_m/(alpha_m + beta_m);

            const R Na = g_Na*m*m*h0, KDR = g_KDR*n0;
            const R CaL = g_Ca*s0*s0, K = g_KAHP*q0 + g_KC*c0*chi;
            const R g_s = g_L + Na + KDR + to_soma, g_d = g_L + CaL + K + to_dendrite;
            const R in_s = g_L*E_L + Na*E_Na + KDR*E_K + to_soma*d + is[i]*(1/p);
            const R in_d = g_L*E_L + CaL*E_Ca + K*E_K + to_dendrite*v + id[i]*(1/(1 - p));
            const R v1 = relaxed(v, in_s/g_s, g_s*per_C, dt);
            vs[i] = v1;
            vd[i] = relaxed(d, in_d/g_d, g_d*per_C, dt);
            hh[i] = relaxed(h0, alpha_h/(alpha_h + beta_h), alpha_h + beta_h, dt);
            nn[i] = relaxed(n0, alpha_n/(alpha_n + beta_n), alpha_n + beta_n, dt);
            ss[i] = relaxed(s0, alpha_s/(alpha_s + beta_s), alpha_s + beta_s, dt);
            cc[i] = relaxed(c0, alpha_c/rate_c, rate_c, dt);
            qq[i] = relaxed(q0, alpha_q/(alpha_q + R(0.001)), alpha_q + R(0.001), dt);
            const R income = R(0.13)*CaL*(E_Ca - d);  // held over the step
            ca[i] = relaxed(Ca0, income*R(1/0.075), R(0.075), dt);
            const int up = (v1 > threshold) & (v <= threshold);
            crossed[i] = uint8_t(up);
            fired += up;
        }
        return fired;
    }
};

int main(int count, char** words) { return choose<Neurons>(words, count); }
