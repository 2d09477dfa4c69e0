import { inTests, type Mutation } from '../mutation.ts';

const inLies = (named: string) => inTests('test/attacks/lying-coordinator.test.ts', named);
const inUnwitnessed = inTests('test/attacks/unwitnessed.test.ts');
const transparency = (file: string) => inTests(`test/privacy/transparency/${file}.test.ts`);

/** Whether the ledger that is shown is the one ledger there is. */
export const ledger: readonly Mutation[] = [
  {
    name: 'ledger-head-not-compared',
    why: 'two tenants are shown two ledgers of one size',
    file: 'client/ledger-view.ts',
    find: 'if (signed.size !== head.size || !rootOf(head).every((byte, i) => byte === signed.root[i]))',
    replace: 'if (signed.size > head.size)',
    caughtBy: [inLies('the ledger')],
  },
  {
    name: 'ledger-not-in-what-is-signed',
    why: 'tenants that were shown different ledgers hear each other as if nothing were wrong',
    file: 'client/task-ledger.ts',
    find: '  if (store.ledgerHashAt(head.size) !== head.hash)\n',
    replace: '  if (head.size < 0)\n',
    caughtBy: [inLies('claims to begin with')],
  },
  {
    name: 'chain-not-followed',
    why: 'an entry that does not follow the one before is another history',
    file: 'privacy/ledger.ts',
    find: '    if (entry.previous !== head.hash) {',
    replace: '    if (entry.previous.length !== head.hash.length) {',
    caughtBy: [inTests('test/privacy/ledger.test.ts')],
  },
  {
    name: 'cosignature-not-verified',
    why: 'anybody writes the names of witnesses under a checkpoint',
    file: 'privacy/transparency/cosignature.ts',
    find: 'if (!verify(key.publicKey, cosignedMessage(text, time), signature.subarray(8))) throw badSignature(key);',
    replace: 'if (!verify) throw badSignature(key);',
    caughtBy: [transparency('cosignature')],
  },
  {
    name: 'checkpoint-signature-not-checked',
    why: 'anybody speaks for the log',
    file: 'privacy/transparency/signed-note.ts',
    find: 'if (!verify(key.publicKey, message, signature)) throw badSignature(key);',
    replace: 'if (!verify && message && signature) throw badSignature(key);',
    caughtBy: [transparency('signed-note')],
    fast: true,
  },
  {
    name: 'quorum-off-by-one',
    why: 'with one witness less two quorums need not share an honest tenant',
    file: 'privacy/transparency/trust-policy.ts',
    find: 'witnessed.has(member)).length >= threshold)',
    replace: 'witnessed.has(member)).length >= threshold - 1)',
    caughtBy: [transparency('trust-policy'), inUnwitnessed],
  },
  {
    name: 'quorum-not-asked',
    why: 'a tenant goes on in a task that nobody else has seen',
    file: 'client/task-ledger.ts',
    find: '  if (entry.seq >= witnessedSize(store, task))\n',
    replace: '  if (entry.seq < 0 && witnessedSize)\n',
    caughtBy: [inUnwitnessed],
  },
  {
    name: 'unwitnessed-tree-kept',
    why: 'a quorum has cosigned another tree than this tenant has seen',
    file: 'client/ledger-view.ts',
    find: 'if (mine === undefined || !mine.every((byte, i) => byte === root[i]))',
    replace: 'if (mine === undefined && root.length === 0)',
    caughtBy: [inUnwitnessed],
  },
  {
    name: 'inclusion-always-proven',
    why: 'an entry that was never in the log is proven to be in it',
    file: 'privacy/transparency/merkle.ts',
    find: `  if (proof.length !== sides.length) return false;
  return same(`,
    replace: `  if (proof.length !== sides.length) return false;
  return true || same(`,
    caughtBy: [transparency('merkle'), transparency('tlog-proof')],
  },
  {
    name: 'consistency-of-the-new-tree-alone',
    why: 'a log that was rewritten passes for one that grew',
    file: 'privacy/transparency/merkle.ts',
    find: 'return same(older, from.root) && same(newer, to.root);',
    replace: 'return same(newer, to.root);',
    caughtBy: [transparency('merkle')],
  },
  {
    name: 'charges-beyond-the-plan-not-found',
    why: 'a ledger in which more was opened than planned reads as clean',
    file: 'privacy/audit.ts',
    find: 'else if (used > planned) wrong.push(',
    replace: 'else if (used > 2 * planned) wrong.push(',
    caughtBy: [inTests('test/privacy/audit.test.ts')],
  },
  {
    name: 'release-of-an-uncharged-sum-not-found',
    why: 'the ledger charges one sum and releases another',
    file: 'privacy/audit.ts',
    find: "else if (charged !== sumHash) wrong.push('releases another sum than was charged');",
    replace: '',
    caughtBy: [inTests('test/privacy/audit.test.ts')],
  },
];
