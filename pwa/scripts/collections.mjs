// Writes `src/client/generated/collections.ts` from what `GET /v1/schema` answers: types of every collection's fields,
// and each field's policy and kind as data. Reads `generated/schema.json` beside it, or the server at RIENTRO_URL with
// the bearer in RIENTRO_TOKEN, whose answer is kept there. `--print` writes to standard output and nothing else.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = new URL("../src/client/generated/", import.meta.url);
const SCHEMA = fileURLToPath(new URL("schema.json", FOLDER));
const DECIMAL = "^-?(?:0|[1-9]";
const PLAIN = { uuid: "Uuid", instant: "Instant", day: "Day", decimal: "Decimal" };
const BEGINNINGS = { "^[0-9a-f]{8}-": "Uuid" };

async function served() {
  const url = process.env.RIENTRO_URL;
  if (url === undefined) return JSON.parse(readFileSync(SCHEMA, "utf8"));
  const headers = { Authorization: `Bearer ${process.env.RIENTRO_TOKEN}` };
  const answer = await fetch(`${url}/v1/schema`, { headers });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const schema = await answer.json();
  writeFileSync(SCHEMA, `${JSON.stringify(schema, null, 1)}\n`);
  return schema;
}

/** The TypeScript type of a JSON Schema; `kind` is the field's own word for it. */
function typeOf(schema, kind) {
  const options = schema.anyOf;
  if (options !== undefined) {
    const isDecimal = options.some((one) => one.pattern?.startsWith(DECIMAL));
    const parts = isDecimal
      ? ["Decimal"]
      : options.filter((one) => one.type !== "null").map((one) => typeOf(one, kind));
    return [...new Set([...parts, ...(options.some((one) => one.type === "null") ? ["null"] : [])])].join(" | ");
  }
  if (schema.$ref !== undefined) return schema.$ref.replace("#/$defs/", "");
  if (schema.type === "array") {
    const item = typeOf(schema.items ?? {}, undefined);
    return item.includes("|") ? `readonly (${item})[]` : `readonly ${item}[]`;
  }
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type === "boolean") return "boolean";
  if (schema.type !== "string") return "Json";
  return PLAIN[kind] ?? choiceOf(schema.pattern) ?? beginningOf(schema.pattern) ?? "string";
}

function choiceOf(pattern) {
  const found = /^\^\(\?:([a-z_]+(?:\|[a-z_]+)*)\)\$$/.exec(pattern ?? "");
  return found === null
    ? undefined
    : found[1]
        .split("|")
        .map((word) => JSON.stringify(word))
        .join(" | ");
}

function beginningOf(pattern) {
  return Object.entries(BEGINNINGS).find(([beginning]) => pattern?.startsWith(beginning))?.[1];
}

function interfaceOf(name, schema, about) {
  const required = new Set(schema.required ?? []);
  const members = Object.entries(schema.properties).map(([member, one]) => {
    const optional = about === undefined && !required.has(member) ? "?" : "";
    return `  ${member}${optional}: ${typeOf(one, one["x-kind"])};`;
  });
  return [`${about === undefined ? "" : `/** ${about} */\n`}export interface ${name} {`, ...members, "}"].join("\n");
}

function collectionOf(name, schema) {
  const nested = Object.entries(schema.properties).flatMap(([, one]) => Object.entries(one.$defs ?? {}));
  const parts = nested.map(([title, one]) => interfaceOf(title, one));
  return [...parts, interfaceOf(schema.title, schema, `A record of \`${name}\`, in the wire's own form.`)].join("\n\n");
}

function described(schema) {
  const fields = Object.entries(schema.properties).map(([name, one]) => {
    const nullable = (one.anyOf ?? []).some((option) => option.type === "null");
    const about = { policy: one["x-policy"], kind: one["x-kind"], nullable };
    if ("default" in one) about.default = one.default;
    if (one["x-places"] !== undefined) Object.assign(about, { digits: one["x-digits"], places: one["x-places"] });
    return `      ${name}: ${JSON.stringify(about)},`;
  });
  return [
    `    schema: ${schema["x-schema"]},`,
    `    fact: ${schema["x-fact"]},`,
    `    concurrentDelete: ${JSON.stringify(schema["x-concurrent-delete"])},`,
    `    required: ${JSON.stringify(schema.required)},`,
    `    units: ${JSON.stringify(schema["x-units"])},`,
    `    may: ${JSON.stringify(schema["x-may"])},`,
    "    fields: {",
    ...fields,
    "    },",
  ];
}

function written(schema) {
  const entries = Object.entries(schema.collections);
  return [
    "// Made from `GET /v1/schema` by scripts/collections.mjs: do not edit; `make types` makes it anew.",
    'import type { CollectionShape, Day, Decimal, Instant, Json, Uuid } from "../shape";',
    "",
    `export const PROTOCOL = ${schema.protocol};`,
    "",
    "/** What this app was built against; each mutation says so. */",
    `export const SCHEMA = ${schema.schema};`,
    "",
    ...entries.map(([name, one]) => `${collectionOf(name, one)}\n`),
    "/** Every collection's record, by the collection's name. */",
    "export interface Collections {",
    ...entries.map(([name, one]) => `  ${name}: ${one.title};`),
    "}",
    "",
    "/** Every collection's rules, by its name. */",
    "export const COLLECTIONS: { readonly [Name in keyof Collections]: CollectionShape } = {",
    ...entries.flatMap(([name, one]) => [`  ${name}: {`, ...described(one), "  },"]),
    "};",
    "",
  ].join("\n");
}

const text = written(await served());
if (process.argv.includes("--print")) process.stdout.write(text);
else writeFileSync(fileURLToPath(new URL("collections.ts", FOLDER)), text);
