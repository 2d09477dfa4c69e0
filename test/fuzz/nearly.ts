import fc from 'fast-check';

/**
 * Values that are almost right: one place in them is changed into what nobody expects there. Most of what goes wrong in a
 * program goes wrong one step behind a check that the rest of the value has passed.
 */
export function nearly<T>(values: fc.Arbitrary<T>): fc.Arbitrary<unknown> {
  return fc.tuple(values, change).map(([value, one]) => changed(value, one));
}

/** What is done, and where: the place is a fraction of the way through all places of the value. */
export interface Change {
  readonly at: number;
  readonly to: Deed;
}

type Deed =
  | { readonly do: 'put'; readonly value: unknown }
  | { readonly do: 'drop' }
  | { readonly do: 'double' }
  | { readonly do: 'name'; readonly name: string; readonly value: unknown }
  | { readonly do: 'nest'; readonly depth: number };

/** What a check of types, a range or a length may not have thought of. */
const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', 0, -1, 1, 255, 256, 2 ** 31, 2 ** 31 + 1, 2 ** 32, 2 ** 53, -0, 0.5, 1e308),
  fc.constantFrom<unknown>(Number.NaN, Number.POSITIVE_INFINITY, -1e-320, [], {}, [[]], '__proto__', 'constructor'),
  fc.constantFrom(31, 33, 63, 64, 65, 500, 501, 20_000).map((length) => 'a'.repeat(length)),
  fc.constantFrom(31, 32, 33, 63, 64, 65, 1000).map((length) => new Uint8Array(length).fill(255)),
  fc.constantFrom(50, 51, 200, 201, 5000).map((length) => new Array(length).fill('a')),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }),
  fc.double(),
);

const NAMES = ['__proto__', 'constructor', 'toString', 'then', 'length', 'type', '', 'a'.repeat(5000), '\u0000'];

export const change: fc.Arbitrary<Change> = fc.record({
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  to: fc.oneof(
    { weight: 4, arbitrary: odd.map((value): Deed => ({ do: 'put', value })) },
    { weight: 1, arbitrary: fc.constant<Deed>({ do: 'drop' }) },
    { weight: 1, arbitrary: fc.constant<Deed>({ do: 'double' }) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...NAMES), odd).map(([name, value]): Deed => named(name, value)) },
    { weight: 1, arbitrary: fc.constantFrom(7, 8, 9, 300).map((depth): Deed => ({ do: 'nest', depth })) },
  ),
});

const named = (name: string, value: unknown): Deed => ({ do: 'name', name, value });

/** A copy with one place changed. */
export function changed(value: unknown, { at, to }: Change): unknown {
  const target = Math.floor(at * placesIn(value));
  let place = 0;
  const walk = (part: unknown): unknown => {
    if (place++ === target) return done(part, to);
    if (Array.isArray(part)) return part.flatMap((one) => kept(walk(one)));
    if (!isRecord(part)) return part;
    const fields = Object.entries(part).flatMap(([name, one]) => kept(walk(one)).map((field) => [name, field]));
    return withFields({}, fields as [string, unknown][]);
  };
  const [result] = kept(walk(value));
  return result;
}

/** A place that is gone, or is there twice. In a map, which has each name once, the second of two wins. */
class Several {
  readonly values: readonly unknown[];
  constructor(values: readonly unknown[]) {
    this.values = values;
  }
}
const kept = (value: unknown): readonly unknown[] => (value instanceof Several ? value.values : [value]);

function done(part: unknown, to: Deed): unknown {
  switch (to.do) {
    case 'put':
      return to.value;
    case 'drop':
      return new Several([]);
    case 'double':
      return new Several([part, part]);
    case 'name':
      return withFields(isRecord(part) ? part : { part }, [[to.name, to.value]]);
    case 'nest': {
      let nested = part;
      for (let i = 0; i < to.depth; i++) nested = [nested];
      return nested;
    }
  }
}

/** `__proto__` as a field like any other, the way a decoder may make it. */
function withFields(value: object, fields: readonly (readonly [string, unknown])[]): object {
  const copy = { ...value };
  for (const [name, field] of fields)
    Object.defineProperty(copy, name, { value: field, enumerable: true, writable: true, configurable: true });
  return copy;
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

function placesIn(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + placesIn(one), 1);
  return isRecord(value) ? Object.values(value).reduce((sum: number, one) => sum + placesIn(one), 1) : 1;
}
