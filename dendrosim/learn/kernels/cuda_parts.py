"""Code of a GPU kernel that reads and writes the arrays of a step."""

from __future__ import annotations

from dendrosim.learn.kernels.step_code import StepCode


def parts_of(code: StepCode) -> dict[str, str]:
    """Return the code that reads and writes the arrays."""
    written = {**_forward_parts(code), **_backward_parts(code)}
    return {part: "\n".join(f"        {line}" for line in lines) for part, lines in written.items()}


def _silent(code: StepCode) -> list[str]:
    return [f"const T in_{name} = 0;" for name in code.silent]


def _forward_parts(code: StepCode) -> dict[str, list[str]]:
    ports, silent = list(enumerate(code.ports)), _silent(code)
    # array elements that a step reads in advance, by target variable
    ahead = {f"next_{name}": f"m.ports[PORT(t, {k})]" for k, name in ports}
    now = [f"const T in_{name} = now_{name};" for name in code.carried] + silent
    current = " + m.currents[(b*{count} + {k})*m.n + j]" if code.recurrent else ""
    taken = [f"const T in_{name} = next_{name}{current.format(count=len(ports), k=k)};"
             for k, name in ports]  # fmt: skip
    store = [f"m.spikes[step*cells + cell] = {code.after(code.output)};"]
    store += [f"m.state_{name}[(step + 1)*m.stride + cell] = {code.after(name)};"
              for name in code.carried]  # fmt: skip
    if code.recurrent:
        store += [f"m.ports[PORT(step, {k})] = in_{name};" for k, name in ports]
    return {
        "values": [f"const T in_{name} = m.value_{name}[{'j' if each else '0'}];"
                   for name, each in code.values],
        "start": [f"T now_{name} = m.state_{name}[m.begin*m.stride + cell];"
                  for name in code.carried],
        "fetch": [f"T {name} = {place};" for name, place in ahead.items()],
        "refetch": [f"{name} = {place};" for name, place in ahead.items()],
        "take": taken + now,
        "sums": [f"T sum_{name} = 0;" for name in code.ports],
        "weigh": [f"weight[k][{k}] = __ldg(row + {k}*n);" for k, _ in ports],
        "sum_up": [f"sum_{name} = math::fma(spike, weight[k][{k}], sum_{name});"
                   for k, name in ports],
        "sum_one": [f"sum_{name} = math::fma(spike, __ldg(row + {k}*n), sum_{name});"
                    for k, name in ports],
        "take_sums": [f"const T in_{name} = next_{name} + sum_{name};"
                      for name in code.ports] + now,
        "code": code.forward,
        "store": store,
        "carry": [f"now_{name} = {code.after(name)};" for name in code.carried],
    }  # fmt: skip


def _backward_parts(code: StepCode) -> dict[str, list[str]]:
    ports, active, silent = [*enumerate(code.ports)], [*enumerate(code.active)], _silent(code)
    behind = {
        **{f"kept_{name}": f"m.ports[PORT(t, {k})]" for k, name in ports},
        **{f"kept_{name}": f"m.state_{name}[t*m.stride + cell]" for name in code.carried},
        "kept_by_spikes": "m.by_spikes[t*cells + cell]",
    }
    return {
        "start_back": [
            *(f"T by_{name} = m.by_state_{name}[cell];" for name in code.carried),
            *(f"double total_{name} = 0;" for name in code.active),
        ],
        "fetch_back": [f"T {name} = {place};" for name, place in behind.items()],
        "refetch_back": [f"{name} = {place};" for name, place in behind.items()],
        "take_back": [
            *(f"const T in_{name} = kept_{name};" for name in (*code.ports, *code.carried)),
            *silent,
            "const T by_spikes = kept_by_spikes;",
        ],
        "by_before": ["const T by_recurrent = m.by_before[cell];"] if code.recurrent else [],
        "adjoint": code.adjoint,
        "store_back": [f"m.by_ports[PORT(step, {k})] = d_in_{name};" for k, name in ports],
        "store_row": [f"row[{k}*n + j] = d_in_{name};" for k, name in ports],
        "carry_back": [
            *(f"by_{name} = d_in_{name};" for name in code.carried),
            *(f"total_{name} += d_in_{name};" for name in code.active),
        ],
        "end_back": [
            *(f"m.by_state_{name}[cell] = by_{name};" for name in code.carried),
            *(f"m.totals[{k}*cells + cell] += total_{name};" for k, name in active),
        ],
    }
