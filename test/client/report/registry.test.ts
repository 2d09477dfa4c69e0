import { describe, expect, test } from 'vitest';
import type { Plan } from '../../../aggregation/plan.ts';
import { taskId } from '../../../aggregation/plan.ts';
import type { Settings } from '../../../aggregation/settings.ts';
import { figuresOf } from '../../../client/report/figures.ts';
import { periodNamed } from '../../../client/report/period.ts';
import { registryRecords, registryText, TO_FILL_IN } from '../../../client/report/registry.ts';
import { registryRecord } from '../../../client/report/registry-schema.ts';
import published from '../../vectors/registry-schema.json' with { type: 'json' };
import { type Course, ledgerOf, planOf, story } from './ledger-of.ts';

// ---- the published schema, read by itself: the keywords of JSON Schema draft 7 that it uses

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly format?: string;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly $ref?: string;
  readonly tier?: number;
}

const schema = published.schema as unknown as Schema & { readonly $defs: Readonly<Record<string, Schema>> };
const KEYWORDS = [
  ...['type', 'properties', 'patternProperties', 'additionalProperties', 'required', 'enum', 'items', 'minItems'],
  ...['format', 'oneOf', 'anyOf', '$ref', '$defs', 'tier'],
];

const typeOf = (value: unknown): string[] => {
  if (Array.isArray(value)) return ['array'];
  if (Number.isInteger(value)) return ['integer', 'number'];
  return [value === null ? 'null' : typeof value];
};

/** Where a value breaks the schema, by path. */
function broken(value: unknown, node: Schema = schema, path = ''): string[] {
  if (node.$ref !== undefined) return broken(value, schema.$defs[node.$ref.replace('#/$defs/', '')]!, path);
  const types = node.type === undefined ? typeOf(value) : [node.type].flat();
  if (!typeOf(value).some((type) => types.includes(type))) return [`${path}: not ${types.join(' or ')}`];
  const wrong: string[] = [];
  if (node.enum !== undefined && !node.enum.includes(value)) wrong.push(`${path}: ${value} is none of its words`);
  if (node.format === 'date' && new Date(`${value}T00:00:00Z`).toJSON()?.slice(0, 10) !== value)
    wrong.push(`${path}: no date`);
  if (node.oneOf !== undefined && node.oneOf.filter((one) => broken(value, one, path).length === 0).length !== 1)
    wrong.push(`${path}: not exactly one of its forms`);
  if (node.anyOf?.every((one) => broken(value, one, path).length > 0)) wrong.push(`${path}: none of its forms`);
  if (Array.isArray(value)) {
    if (value.length < (node.minItems ?? 0)) wrong.push(`${path}: too few`);
    wrong.push(...value.flatMap((item, i) => (node.items ? broken(item, node.items, `${path}/${i}`) : [])));
  } else if (typeof value === 'object' && value !== null) {
    for (const name of node.required ?? []) if (!Object.hasOwn(value, name)) wrong.push(`${path}/${name}: required`);
    for (const [name, part] of Object.entries(value)) {
      const patterns = Object.entries(node.patternProperties ?? {}).filter(([pattern]) =>
        new RegExp(pattern).test(name),
      );
      const known = [node.properties?.[name], ...patterns.map(([, one]) => one)].filter((one) => one !== undefined);
      if (known.length === 0 && node.additionalProperties === false) wrong.push(`${path}/${name}: unexpected`);
      wrong.push(...known.flatMap((one) => broken(part, one, `${path}/${name}`)));
    }
  }
  return wrong;
}

test('the reader of the published schema knows every keyword in it', () => {
  const nodes = (node: Schema): Schema[] => [
    node,
    ...[
      ...Object.values(node.properties ?? {}),
      ...Object.values(node.patternProperties ?? {}),
      ...(node.oneOf ?? []),
    ].flatMap(nodes),
    ...(node.anyOf ?? []).flatMap(nodes),
    ...(node.items ? nodes(node.items) : []),
  ];
  const all = [...nodes(schema), ...Object.values(schema.$defs).flatMap(nodes)];
  expect(all.length).toBeGreaterThan(60);
  for (const node of all) for (const keyword of Object.keys(node)) expect(KEYWORDS).toContain(keyword);
});

// ---- our records

const COURSE: Course = { from: '2026-10-05T00:00:00Z', rounds: 'rrrr', end: { at: '2026-12-31T23:59:59.999Z' } };
const of = (change: (settings: Settings) => Partial<Settings> = () => ({})): Plan =>
  planOf((all) => ({ ...all, ...change(all) }));
const recordsOf = (plan: Plan, course = COURSE, period = '2026-Q4') => {
  const { verdict, root } = ledgerOf(story(plan, course));
  return registryRecords(figuresOf(verdict, root, periodNamed(period)));
};

const PLANS: readonly (readonly [string, Plan])[] = [
  ['shared noise', of()],
  ['local noise', of(({ privacy }) => ({ privacy: { ...privacy, mode: 'record-local' } }))],
  ['sums that were not secured', of(({ secureSum }) => ({ secureSum: { ...secureSum, protocol: 'plain' } }))],
  [
    'customers with several rows, in several units',
    of(({ privacy, features }) => ({
      privacy: { ...privacy, tenantsPerCustomer: 2 },
      features: { ...features, customer: { column: 'id', maxRows: 3 } },
    })),
  ],
  [
    'evaluation, with a legal basis',
    of(({ privacy }) => ({
      work: {
        kind: 'evaluate',
        model: { kind: 'logistic' },
        parameters: 'a'.repeat(64),
        trainedBy: 'b'.repeat(64),
        bins: 8,
      },
      privacy: { ...privacy, samplingRate: 1, delta: 1e-7 },
      use: { purpose: 'retention', legalBasis: 'Art. 6 (1) (f) GDPR', retentionDays: 30 },
    })),
  ],
];

describe.each(PLANS)('a record of %s', (_, plan) => {
  const [record] = recordsOf(plan, { ...COURSE, rounds: 'r' });

  test('is one by the published schema', () => {
    expect(broken(record)).toEqual([]);
  });

  test('fills in every field of tier 3, but for the number of customers, which is nobody’s to know, and the sector', () => {
    const empty: string[] = [];
    const visit = (node: Schema, value: unknown, path: string): void => {
      if (node.tier !== undefined && value === undefined) empty.push(path);
      for (const [name, part] of Object.entries(node.properties ?? {}))
        visit(part, (value as Record<string, unknown> | undefined)?.[name], `${path}/${name}`);
    };
    visit(schema, record, '');
    expect(empty).toEqual([
      '/deployment/basic/data_product_sector',
      '/deployment/privacy_loss/number_of_privacy_units',
    ]);
    expect(record!.deployment.administrative).toMatchObject({
      tier: 3,
      status: 'Draft',
      registry_authors: [TO_FILL_IN],
    });
  });
});

test('ε and δ are those of the plan, as a coalition sees it; the date is the last day in UTC', () => {
  const plan = of();
  const [record] = recordsOf(plan);
  const { privacy_loss, basic } = record!.deployment;
  expect(privacy_loss!.privacy_parameters!.epsilon).toBeCloseTo(plan.derived.epsilon.coalition, 2);
  expect(privacy_loss!.privacy_parameters!.epsilon).toBeGreaterThanOrEqual(plan.derived.epsilon.coalition - 1e-9);
  expect(privacy_loss!.privacy_parameters!.delta).toBe(1e-5);
  expect(basic.publication_date).toBe('2026-12-31');
  expect(basic.data_curators).toHaveLength(5);
  expect(record!.url_slug).toBe(`parley-retention-${taskId(plan).slice(0, 8)}`);
});

test('what was not secured claims no more than one unit’s noise gives', () => {
  const plain = of(({ secureSum }) => ({ secureSum: { ...secureSum, protocol: 'plain' } }));
  const { privacy_loss, deployment_model } = recordsOf(plain)[0]!.deployment;
  expect(privacy_loss!.privacy_parameters!.epsilon).toBeCloseTo(plain.derived.epsilon.floor, 2);
  expect(deployment_model!.model_name_details).toContain('the coordinator saw each contribution');
});

test('what was released without protection names no ε', () => {
  const { verdict, root } = ledgerOf(story(of(), COURSE));
  const entries = verdict.entries.map((entry) =>
    entry.kind === 'plan' ? { ...entry, event: { type: 'NonPrivate' as const } } : entry,
  );
  const [record] = registryRecords(figuresOf({ ...verdict, entries }, root, periodNamed('all')));
  expect(record!.deployment.privacy_loss!.privacy_parameters).toEqual({ delta: 1e-5 });
  expect(broken(record)).toEqual([]);
});

test('there is one for each task that finished in the period, and none for others', () => {
  expect(recordsOf(of(), COURSE, '2026-12')).toHaveLength(1);
  expect(recordsOf(of(), COURSE, '2027')).toHaveLength(0);
  expect(recordsOf(of(), COURSE, '2026-10')).toHaveLength(0);
  expect(recordsOf(of(), { from: COURSE.from, rounds: 'rr' })).toHaveLength(0);
  expect(recordsOf(of(), { ...COURSE, end: { at: '2026-11-01', stop: 'stopped-by-operator' } })).toHaveLength(0);
});

test('records are documents of one stream, each with its own beginning', () => {
  const [first] = recordsOf(of());
  const text = registryText([first!, first!]);
  expect(text.match(/^---$/gm)).toHaveLength(2);
  expect(text).toMatch(/^---\nurl_slug: "parley-retention-/);
  expect(text).toContain('\n      delta: 0.00001\n');
});

describe('our schema and the published one agree', () => {
  const [record] = recordsOf(of());
  const copy = (): unknown => structuredClone(record);
  type Path = readonly (string | number)[];
  const at = (root: unknown, path: Path): Record<string, unknown> =>
    path.reduce<unknown>((node, key) => (node as Record<string | number, unknown>)[key], root) as Record<
      string,
      unknown
    >;
  const paths = (node: unknown, path: Path = []): Path[] =>
    typeof node !== 'object' || node === null
      ? [path]
      : [path, ...Object.entries(node).flatMap(([key, part]) => paths(part, [...path, key]))];
  const accepted = (value: unknown): boolean => registryRecord.safeParse(value).success;

  test('on every field that is left out', () => {
    let refused = 0;
    for (const path of paths(record).slice(1)) {
      const changed = copy();
      const parent = at(changed, path.slice(0, -1));
      if (Array.isArray(parent)) parent.splice(Number(path.at(-1)), 1);
      else delete parent[String(path.at(-1))];
      if (path.includes('ledger')) continue; // of sources we write one form, the published schema has fifteen
      expect(accepted(changed), path.join('/')).toBe(broken(changed).length === 0);
      refused += accepted(changed) ? 0 : 1;
    }
    expect(refused).toBeGreaterThanOrEqual(15);
  });

  test('on every text that is another word, a number, or nothing', () => {
    let refused = 0;
    for (const path of paths(record).slice(1))
      for (const other of ['surprise', 7, 1.5, null, true]) {
        if (path.includes('ledger') || /_details$|^actors$|^utility$|^additional/.test(String(path.at(-1)))) continue; // the published schema says no type of some
        const changed = copy();
        at(changed, path.slice(0, -1))[String(path.at(-1))] = other;
        expect(accepted(changed), `${path.join('/')} = ${other}`).toBe(broken(changed).length === 0);
        refused += accepted(changed) ? 0 : 1;
      }
    expect(refused).toBeGreaterThan(100);
  });

  test('on every field that is not theirs, and on every word of theirs', () => {
    for (const path of paths(record)) {
      const changed = copy();
      const node = at(changed, path);
      if (typeof node !== 'object' || Array.isArray(node) || path.includes('ledger')) continue;
      node['surprise'] = 'x';
      expect(accepted(changed), path.join('/')).toBe(broken(changed).length === 0);
    }
    const words = (node: Schema, path: Path): [Path, unknown][] => [
      ...(node.enum ?? []).map((word): [Path, unknown] => [path, word]),
      ...Object.entries(node.properties ?? {}).flatMap(([key, part]) => words(part, [...path, key])),
    ];
    const all = words(schema, []);
    expect(all).toHaveLength(38);
    for (const [path, word] of all) {
      const changed = copy();
      at(changed, path.slice(0, -1))[String(path.at(-1))] = word;
      expect([accepted(changed), broken(changed)], `${path.join('/')} = ${word}`).toEqual([true, []]);
    }
  });
});
