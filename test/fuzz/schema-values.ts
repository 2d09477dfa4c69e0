import fc from 'fast-check';
import { z } from 'zod';

/**
 * Values that a schema lets in, as fast-check draws and shrinks them: made by walking the schema, so that a message or a field
 * that is added tomorrow is fuzzed without anyone thinking of it.
 *
 *   zod schema ──▶ JSON Schema ──▶ arbitrary ◀── JSON Schema of a route, as the API's own description has it
 *
 * @param words - strings that mean something here: names, hashes, stages. Where one fits it is mostly taken
 */
export function valuesOf(schema: JsonSchema, words: readonly string[] = []): fc.Arbitrary<unknown> {
  const walk = (part: JsonSchema): fc.Arbitrary<unknown> => valuesOf(part, words);
  const { bytes, enum: names, oneOf, anyOf, type } = schema;
  if (bytes !== undefined) return bytesOf(bytes);
  if ('const' in schema) return fc.constant(schema.const);
  if (names !== undefined) return fc.constantFrom(...names);
  const choice = oneOf ?? anyOf;
  if (choice !== undefined) return fc.oneof(...choice.map(walk));
  switch (type) {
    case 'object':
      return objectOf(schema, walk);
    case 'array':
      return arrayOf(schema, walk);
    case 'string':
      return stringOf(schema, words);
    case 'integer':
      return integerOf(schema);
    case 'number':
      return numberOf(schema);
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

/** What of JSON Schema our schemas use; `bytes` is their length in a message of the wire, −1 for any. */
export interface JsonSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly items?: JsonSchema | readonly JsonSchema[];
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly bytes?: number;
}

/** @throws Error when a schema holds a check of its own that is not one for bytes: then this file must learn it */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type === 'custom')
        Object.assign(jsonSchema, { bytes: lengthOf(zodSchema as unknown as z.ZodType) });
    },
  }) as JsonSchema;
}

/** The one length of bytes that a schema takes; −1 when it takes any. */
function lengthOf(schema: z.ZodType): number {
  const fits = Array.from({ length: 129 }, (_, n) => n).filter((n) => schema.safeParse(new Uint8Array(n)).success);
  if (fits.length === 129) return -1;
  if (fits.length !== 1) throw new Error('a schema of its own that is not one of bytes: teach test/fuzz about it');
  return fits[0]!;
}

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array(length < 0 ? { maxLength: 96 } : { minLength: length, maxLength: length });

function objectOf(schema: JsonSchema, walk: Walk): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const fields = Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, walk(part)]));
  const record = fc.record(fields, { requiredKeys: [...required], noNullPrototype: true });
  if (typeof additionalProperties !== 'object') return record;
  const more = fc.dictionary(fc.string({ maxLength: 12 }), walk(additionalProperties), { maxKeys: 4 });
  return fc.tuple(record, more).map(([known, other]) => ({ ...other, ...(known as object) }));
}

function arrayOf({ prefixItems, items, minItems = 0, maxItems = MOST }: JsonSchema, walk: Walk): fc.Arbitrary<unknown> {
  const tuple = prefixItems ?? (Array.isArray(items) ? (items as readonly JsonSchema[]) : undefined);
  if (tuple !== undefined) return fc.tuple(...tuple.map(walk));
  const maxLength = Math.max(minItems, Math.min(maxItems, MOST));
  return fc.array(walk((items as JsonSchema | undefined) ?? {}), { minLength: minItems, maxLength });
}

/** Elements of a list; longer ones are the business of `nearly.ts`. */
const MOST = 6;

function stringOf({ pattern, minLength = 0, maxLength = 40 }: JsonSchema, words: readonly string[]) {
  const expression = pattern === undefined ? undefined : new RegExp(pattern, 'u');
  const fitting = words.filter(
    (word) => (expression?.test(word) ?? true) && word.length >= minLength && word.length <= maxLength,
  );
  const any = expression
    ? matching(expression)
    : fc.string({ unit: 'binary', minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40)) });
  if (fitting.length === 0) return any;
  return fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...fitting) }, { weight: 1, arbitrary: any });
}

/**
 * A class of all letters there are takes a second to build. What fast-check cannot build, a look ahead, is left out: what it would
 * have kept away is drawn again.
 */
function matching(expression: RegExp): fc.Arbitrary<string> {
  const buildable = new RegExp(expression.source.replaceAll(/\(\?[=!][^)]*\)/g, ''), 'u');
  const known = built.get(expression.source) ?? fc.stringMatching(buildable).filter((text) => expression.test(text));
  built.set(expression.source, known);
  return known;
}
const built = new Map<string, fc.Arbitrary<string>>();

function integerOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): fc.Arbitrary<number> {
  const min = minimum ?? (exclusiveMinimum === undefined ? -(2 ** 40) : exclusiveMinimum + 1);
  const max = maximum ?? (exclusiveMaximum === undefined ? 2 ** 40 : exclusiveMaximum - 1);
  const small = fc.integer({ min, max: Math.max(min, Math.min(max, min + 4)) });
  return fc.oneof({ weight: 5, arbitrary: small }, { weight: 1, arbitrary: fc.maxSafeInteger().map(within(min, max)) });
}

const within =
  (min: number, max: number) =>
  (value: number): number =>
    min + (Math.abs(value) % (max - min + 1));

function numberOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): fc.Arbitrary<number> {
  return fc.double({
    min: minimum ?? exclusiveMinimum ?? -1e9,
    max: maximum ?? exclusiveMaximum ?? 1e9,
    minExcluded: minimum === undefined && exclusiveMinimum !== undefined,
    maxExcluded: maximum === undefined && exclusiveMaximum !== undefined,
    noNaN: true,
  });
}

type Walk = (schema: JsonSchema) => fc.Arbitrary<unknown>;
