/** A small plot: one line over time, its last value written at its end, and the same as a table for who cannot see it. */
import { useId } from "preact/hooks";
import { words } from "../words";

interface Props {
  readonly title: string;
  readonly values: readonly number[];
  readonly at: readonly string[];
  readonly name: (value: number) => string;
  readonly when: (instant: string) => string;
}

const WIDTH = 320;
const HEIGHT = 88;
const TOP = 6;

export function Plot({ title, values, at, name, when }: Props) {
  const t = words.value;
  const id = useId();
  const most = Math.max(1, ...values);
  const x = (place: number) => (values.length < 2 ? 0 : (place / (values.length - 1)) * WIDTH);
  const y = (value: number) => HEIGHT - (value / most) * (HEIGHT - TOP);
  const line = stepped(values, x, y);
  const last = values.at(-1) ?? 0;
  return (
    <figure class="plot" aria-labelledby={id}>
      <figcaption id={id}>
        <span class="hint">{title}</span>
        <strong class="figure">{name(last)}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <line class="plot-grid" x1="0" x2={WIDTH} y1={TOP} y2={TOP} />
        <line class="plot-grid" x1="0" x2={WIDTH} y1={(HEIGHT + TOP) / 2} y2={(HEIGHT + TOP) / 2} />
        <path class="plot-area" d={`${line}V${HEIGHT}H0Z`} />
        <path class="plot-line" d={line} />
      </svg>
      <div class="plot-axis hint figure" aria-hidden="true">
        <span>{t.operations.lastDay}</span>
        <span>max {name(most === 1 && Math.max(0, ...values) === 0 ? 0 : most)}</span>
        <span>{t.operations.now}</span>
      </div>
      <table class="unseen">
        <caption>{title}</caption>
        <tbody>
          {at.map((instant, place) =>
            place % 6 === 0 ? (
              <tr key={instant}>
                <th scope="row">{when(instant)}</th>
                <td>{name(values[place] ?? 0)}</td>
              </tr>
            ) : null,
          )}
        </tbody>
      </table>
    </figure>
  );
}

/** What waits changes by jumps, so the line is drawn in steps. */
function stepped(values: readonly number[], x: (place: number) => number, y: (value: number) => number): string {
  return values
    .map((value, place) => (place === 0 ? `M0 ${round(y(value))}` : `H${round(x(place))}V${round(y(value))}`))
    .join("");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
