/** Formats of the local database that tests ask for: today's, and one from a future update. */
import { FORMAT, SHAPES, STEPS, type Step } from "../src/client/tables";

/** `next`: today's tables with one index more, whose rows the update has to write anew. */
export function step(format: string | null): readonly Step[] {
  if (format !== "next") return STEPS;
  const { mutations, ...others } = SHAPES;
  const shapes = { ...others, mutations: { ...mutations, indexes: { ...mutations.indexes, made: ["madeAt"] } } };
  return [
    ...STEPS,
    {
      format: FORMAT + 1,
      shapes,
      async upgrade(tx) {
        await tx.mutations.put((await tx.mutations.range({})).map((row) => ({ ...row, upgraded: true })));
      },
    },
  ];
}
