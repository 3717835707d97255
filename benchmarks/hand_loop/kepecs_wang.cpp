// Kepecs-Wang (2000) by exponential Euler (Rush-Larsen), written by hand from the equations.
// mV, ms, uA/cm2, mS/cm2, uF/cm2.
#include "loop.hpp"

template <class R> struct Neurons
{
    int n;
    R *v_s, *v_d, *h, *q, *k, *I_s, *I_d;  // k: gate of the delayed rectifier

    explicit Neurons(int size)
        : n(size), v_s(filled<R>(n, -65)), v_d(filled<R>(n, -65)), h(filled<R>(n, 0.9)),
          q(filled<R>(n, 0)), k(filled<R>(n, 0.1)), I_s(filled<R>(n, 0)), I_d(filled<R>(n, 0))
    {
    }

    int step(int from, int to, R dt, uint8_t* __restrict crossed)
    {
        const R g_L = 0.18, g_Na = 55, g_K = 20, g_NaP = 0.12, g_KS = 0.8, g_c = 1, p = 0.15;
        const R E_L = -65, E_Na = 55, E_K = -90, phi = 3.33, threshold = -20;
        const R to_soma = g_c/p, to_dendrite = g_c/(1 - p);
        Array<R> vs = v_s, vd = v_d, hh = h, nn = k, qq = q;
        const R *__restrict is = I_s, *__restrict id = I_d;
        int fired = 0;
#pragma GCC ivdep
        for (int i = from; i < to; i++)
        {
            const R s = vs[i], d = vd[i], h0 = hh[i], n0 = nn[i], q0 = qq[i];
            const R alpha_m = linoid(R(-0.1)*(s + 31));
            const R beta_m = 4*std::exp((s + 56)*R(-1./18));
            const R alpha_h = R(0.07)*std::exp((s + 47)*R(-1./20));
            const R beta_h = 1/(1 + std::exp(R(-0.1)*(s + 17)));
            const R alpha_n = R(0.1)*linoid(R(-0.1)*(s + 34));
            const R beta_n = R(0.125)*std::exp((s + 44)*R(-1./80));
            const R m = alpha_m/(alpha_m + beta_m);
            const R l = 1/(1 + std::exp((d + R(57.7))*R(-1/7.7)));
            const R q_inf = 1/(1 + std::exp((d + 35)*R(-1/6.5)));
            const R e = std::exp((d + 55)*R(1./30));

            const R Na = g_Na*m*m*m*h0, K = g_K*n0*n0*n0*n0;
            const R NaP = g_NaP*l*l*l, KS = g_KS*q0;
            const R g_s = g_L + Na + K + to_soma, g_d = g_L + NaP + KS + to_dendrite;
            const R in_s = g_L*E_L + Na*E_Na + K*E_K + to_soma*d + is[i];
            const R in_d = g_L*E_L + NaP*E_Na + KS*E_K + to_dendrite*s + id[i];
            const R s1 = relaxed(s, in_s/g_s, g_s, dt);
            vs[i] = s1;
            vd[i] = relaxed(d, in_d/g_d, g_d, dt);
            hh[i] = relaxed(h0, alpha_h/(alpha_h + beta_h), phi*(alpha_h + beta_h), dt);
            nn[i] = relaxed(n0, alpha_n/(alpha_n + beta_n), phi*(alpha_n + beta_n), dt);
            qq[i] = relaxed(q0, q_inf, (e + 1/e)*R(1./200), dt);
            const int up = (s1 > threshold) & (s <= threshold);
            crossed[i] = uint8_t(up);
            fired += up;
        }
        return fired;
    }
};

int main(int count, char** words) { return choose<Neurons>(words, count); }
