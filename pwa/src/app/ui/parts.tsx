/** The small parts every screen is made of. */
import type { ComponentChildren, InputHTMLAttributes, JSX } from "preact";
import { useId } from "preact/hooks";
import { Icon, type IconName } from "./icon";

type ButtonKind = "do" | "plain" | "quiet" | "danger";

interface ButtonProps extends Omit<JSX.IntrinsicElements["button"], "icon" | "class"> {
  readonly kind?: ButtonKind;
  readonly icon?: IconName;
  readonly wide?: boolean;
  readonly busy?: boolean;
  readonly children?: ComponentChildren;
}

export function Button({ kind = "plain", icon, wide, busy, children, ...rest }: ButtonProps) {
  const wideness = wide === true ? " wide" : "";
  return (
    <button
      type="button"
      {...rest}
      class={`button ${kind}${wideness}`}
      aria-busy={busy === true}
      disabled={rest.disabled ?? busy}
    >
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A button that is an icon alone; its name is said and shown as a hint. */
export function IconButton({
  icon,
  label,
  ...rest
}: Omit<ButtonProps, "children"> & { icon: IconName; label: string }) {
  return (
    <button type="button" {...rest} class="icon-button" aria-label={label} title={label}>
      <Icon name={icon} />
    </button>
  );
}

type InputNames =
  | "name"
  | "type"
  | "value"
  | "placeholder"
  | "autocomplete"
  | "autocapitalize"
  | "autofocus"
  | "inputmode"
  | "maxlength"
  | "minlength"
  | "required"
  | "readonly"
  | "spellcheck";
type InputProps = InputHTMLAttributes<HTMLInputElement>;

interface FieldProps extends Partial<Pick<InputProps, InputNames>> {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly fault?: string | undefined;
  readonly onText: (text: string) => void;
  readonly after?: ComponentChildren;
}

/** A line of text with its label, and what is wrong with it where something is. */
export function Field({ label, hint, fault, onText, after, ...rest }: FieldProps) {
  const id = useId();
  const said = fault ?? hint;
  return (
    <div class={`field${fault === undefined ? "" : " faulty"}`}>
      <label for={id}>{label}</label>
      <div class="field-line">
        <input
          id={id}
          {...(rest as object)}
          aria-invalid={fault !== undefined}
          aria-describedby={said === undefined ? undefined : `${id}-said`}
          onInput={(event) => onText(event.currentTarget.value)}
        />
        {after}
      </div>
      {said !== undefined && (
        <p id={`${id}-said`} class="field-said" role={fault === undefined ? undefined : "alert"}>
          {fault !== undefined && <Icon name="alert" size={16} />}
          {said}
        </p>
      )}
    </div>
  );
}

interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly of: readonly T[];
  readonly now: T;
  readonly name: (one: T) => string;
  readonly onChoose: (one: T) => void;
}

/** One of a few, side by side. */
export function Choice<T extends string>({ label, of, now, name, onChoose }: ChoiceProps<T>) {
  const group = useId();
  return (
    <fieldset class="choice">
      <legend class="unseen">{label}</legend>
      {of.map((one) => (
        <label key={one} class="choice-one">
          <input type="radio" name={group} checked={one === now} onChange={() => onChoose(one)} />
          <span>{name(one)}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface StateProps {
  readonly icon: IconName;
  readonly title: string;
  readonly text: string;
  readonly children?: ComponentChildren;
  readonly tone?: "calm" | "trouble";
}

/** What is shown in a list's place: it is empty, offline, or failed. */
export function Blank({ icon, title, text, children, tone = "calm" }: StateProps) {
  return (
    <div class={`blank ${tone}`} role={tone === "trouble" ? "alert" : undefined}>
      <span class="blank-icon">
        <Icon name={icon} size={32} />
      </span>
      <h2>{title}</h2>
      <p>{text}</p>
      {children}
    </div>
  );
}

/** Rows that are still to come, as tall as they will be. */
export function Skeleton({ rows, label }: { readonly rows: number; readonly label: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, at) => (
        <div key={at} class="skeleton-row" />
      ))}
    </div>
  );
}

/** A slip of paper: the app's one surface for what was sold, received and counted. */
export function Slip({
  children,
  torn = true,
  ...rest
}: { readonly children: ComponentChildren; readonly torn?: boolean } & Omit<
  JSX.IntrinsicElements["section"],
  "class" | "children"
>) {
  return (
    <section {...rest} class={`slip${torn ? " torn" : ""}`}>
      {children}
    </section>
  );
}

/** A line of a slip: a name at the left, a figure at the right. */
export function Pair({
  name,
  children,
  strong,
}: {
  readonly name: ComponentChildren;
  readonly children: ComponentChildren;
  readonly strong?: boolean;
}) {
  return (
    <div class={`pair${strong === true ? " strong" : ""}`}>
      <span>{name}</span>
      <span class="figure">{children}</span>
    </div>
  );
}

/** Whether something is on the server, told by a sign and words. */
export function Mark({
  unsent,
  saved,
  sent,
  bare,
}: {
  readonly unsent: number;
  readonly saved: string;
  readonly sent: string;
  readonly bare?: boolean;
}) {
  const [icon, text, tone] = unsent > 0 ? (["saved", saved, "unsent"] as const) : (["sent", sent, "sent"] as const);
  return (
    <span class={`mark ${tone}`} title={text}>
      <Icon name={icon} size={16} />
      <span class={bare === true ? "unseen" : undefined}>{text}</span>
    </span>
  );
}

/** A search line. */
export function Search({
  label,
  text,
  onText,
}: {
  readonly label: string;
  readonly text: string;
  readonly onText: (text: string) => void;
}) {
  return (
    <div class="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        value={text}
        autocomplete="off"
        enterkeyhint="search"
        onInput={(event) => onText(event.currentTarget.value)}
      />
    </div>
  );
}

/** Why something was refused; its place is there before it is. */
export function Fault({ text }: { readonly text: string | null }) {
  return (
    <p class="fault" role="alert">
      {text !== null && <Icon name="alert" size={16} />}
      {text}
    </p>
  );
}

/** Something to know before going on. */
export function Note({ text, children }: { readonly text: string; readonly children?: ComponentChildren }) {
  return (
    <div class="note" role="status">
      <Icon name="alert" />
      <p>{text}</p>
      {children}
    </div>
  );
}
