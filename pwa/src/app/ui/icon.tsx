/** An icon: decoration beside words, unless it is given a name. */
import { h, type JSX } from "preact";
import { ICONS, type IconName, type Shape } from "./shapes";

export type { IconName } from "./shapes";

interface Props {
  readonly name: IconName;
  readonly size?: 16 | 20 | 24 | 32;
  readonly label?: string;
}

export function Icon({ name, size = 20, label }: Props) {
  const named = label === undefined ? { "aria-hidden": true } : { role: "img" as const, "aria-label": label };
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" {...(named as JSX.IntrinsicElements["svg"])}>
      {(ICONS[name] as readonly Shape[]).map(([tag, at]) => h(tag, at as Record<string, string>))}
    </svg>
  );
}
