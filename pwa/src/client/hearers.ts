/** Who wants to hear of what. A hearer that throws harms nobody else: its error is told to the console alone. */

export class Hearers<Events> {
  private readonly all = new Map<keyof Events, Set<(told: never) => void>>();

  /** The returned function ends it. */
  add<E extends keyof Events>(event: E, hear: (told: Events[E]) => void): () => void {
    const hearers = this.all.get(event) ?? new Set();
    this.all.set(event, hearers.add(hear as (told: never) => void));
    return () => hearers.delete(hear as (told: never) => void);
  }

  tell<E extends keyof Events>(event: E, told: Events[E]): void {
    for (const hear of [...(this.all.get(event) ?? [])]) {
      try {
        (hear as (told: Events[E]) => void)(told);
      } catch (error) {
        console.error(error);
      }
    }
  }
}
