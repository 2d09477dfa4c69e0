import { inTests, type Mutation } from '../mutation.ts';

/** What must never be said, written or read by others. */
export const secrets: readonly Mutation[] = [
  {
    name: 'batch-size-logged',
    why: 'how many were drawn is part of what sampling hides; logs are read by many and kept for years',
    file: 'client/contribution.ts',
    find: '  return placeBatch(chosen, settings.privacy.maxBatch, random);',
    replace: `  console.error(\`round with \${chosen.length} customers\`);
  return placeBatch(chosen, settings.privacy.maxBatch, random);`,
    caughtBy: [inTests('test/architecture.test.ts', 'only commands print')],
  },
  {
    name: 'batch-size-in-an-event',
    why: 'what happens is told to logs and progress lines',
    file: 'client/tasks.ts',
    find: "this.#tell({ type: 'round-opened', task, round, contributions });",
    replace: "this.#tell({ type: 'round-opened', task, round, contributions, batch: 1 });",
    caughtBy: ['types'],
  },
  {
    name: 'norm-in-the-ledger',
    why: 'the ledger is for everybody, for ever: a norm in it is data',
    file: 'privacy/ledger.ts',
    find: "z.strictObject({ ...kind('release'), round, modelHash: hash, sumHash: hash }),",
    replace: "z.object({ ...kind('release'), round, modelHash: hash, sumHash: hash }).loose(),",
    caughtBy: [inTests('test/privacy/ledger.test.ts')],
  },
  {
    name: 'no-masks-under-the-encryption',
    why: 'a colluder that subtracts the others’ ciphertexts reads one tenant’s contribution',
    file: 'aggregation/threshold-he/vectors.ts',
    find: '      arithmetic.slots.mask(block, masks);\n',
    replace: '',
    caughtBy: [inTests('test/attacks/malleability.test.ts')],
  },
  {
    name: 'masks-of-one-sign',
    why: 'masks that do not cancel open to noise, not to the sum',
    file: 'aggregation/threshold-he/masks.ts',
    find: 'adds: me < other',
    replace: 'adds: true',
    caughtBy: [inTests('test/aggregation/threshold-he/masks.test.ts')],
  },
  {
    name: 'no-smudging',
    why: 'a share without flooding tells about the key it was made with',
    file: 'aggregation/threshold-he/vectors.ts',
    find: '      ring.multiplyAdd(opening, noise, timesT);\n',
    replace: '',
    caughtBy: [
      inTests('test/aggregation/threshold-he/round.test.ts', 'flooding of every opener'),
      inTests('test/aggregation/threshold-he/round.test.ts', 'a share without is told apart'),
    ],
  },
  {
    name: 'at-rest-tag-not-checked',
    why: 'keys and budget on disk can be changed by whoever can write the file',
    file: 'aggregation/aes-gcm.ts',
    find: '    decipher.final();\n  } catch {\n    return undefined;',
    replace: '    decipher.final();\n  } catch {\n    return plaintext;',
    caughtBy: [inTests('test/aggregation/aes-gcm.test.ts'), inTests('test/client/kept.test.ts')],
  },
  {
    name: 'value-in-another-row',
    why: 'a value of the store, put where another belongs, decrypts as if it were that one',
    file: 'client/kept.ts',
    find: 'const associated = (name: string): Uint8Array =>',
    replace: "const associated = (_: string, name = ''): Uint8Array =>",
    caughtBy: [inTests('test/client/kept.test.ts')],
  },
  {
    name: 'a-bug-tells-the-coordinator',
    why: 'what an error of this side says may hold a row',
    file: 'client/tasks.ts',
    find: "const reason = isMeant ? error.message.slice(0, 500) : 'the client met an error';",
    replace: 'const reason = error instanceof Error ? error.message.slice(0, 500) : String(isMeant);',
    caughtBy: [inTests('test/attacks/lying-plans.test.ts', 'declined without a word')],
  },
];
