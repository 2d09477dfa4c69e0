/**
 * Trust policies: which logs a reader believes, and which witnesses must have cosigned.
 *
 *     log <vkey> [<url>]
 *     witness X1 <vkey> [<url>]
 *     witness X2 <vkey>
 *     group X-witnesses 1 X1 X2           at least 1 of them; `any` and `all` are read, too
 *     quorum X-witnesses                  a witness, a group, or none
 *
 * @see C2SP tlog-policy. Supported keys: Ed25519, type 1 for logs and type 4 for witnesses
 */
import { hasControl, parseDecimal, TransparencyRefused } from './canonical-text.ts';
import type { Cosignature } from './cosignature.ts';
import { ED25519, ED25519_COSIGNATURE, formatVerifierKey, parseVerifierKey, type VerifierKey } from './verifier-key.ts';

export interface TrustPolicy {
  readonly logs: readonly TrustedLog[];
  readonly witnesses: readonly TrustedWitness[];
  /** members come before the groups that name them */
  readonly groups: readonly WitnessGroup[];
  /** name of a witness or a group; `none` when no cosignature is asked for */
  readonly quorum: string;
}

export interface TrustedLog {
  /** its name is the log's origin */
  readonly key: VerifierKey;
  /** where to find it; nobody here goes there */
  readonly url?: string;
}

export interface TrustedWitness extends TrustedLog {
  /** by which groups name it; has no meaning outside the policy */
  readonly name: string;
}

export interface WitnessGroup {
  readonly name: string;
  /** how many members must have witnessed, 1 … members.length */
  readonly threshold: number;
  /** witnesses and groups; nothing is a member twice, in this or in another group */
  readonly members: readonly string[];
}

/** Lines; 32 logs, witnesses and groups each are the least that tlog-policy asks to support. */
export const MAX_POLICY_LINES = 1_000;

/**
 * @param text - UTF-8, decoded; names are compared as they are, without Unicode normalisation
 * @throws TransparencyRefused naming the line that breaks a rule of tlog-policy
 */
export function parsePolicy(text: string): TrustPolicy {
  if (hasControl(text, '\t\n') || text.includes('\x7f')) throw new TransparencyRefused('policy: control characters');
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new TransparencyRefused('policy: the last line does not end with a line break');
  if (lines.length > MAX_POLICY_LINES) throw new TransparencyRefused(`policy: more than ${MAX_POLICY_LINES} lines`);
  const draft: Draft = { logs: [], witnesses: [], groups: [], quorum: undefined };
  for (const [at, line] of lines.entries()) {
    try {
      addLine(draft, line);
    } catch (error) {
      if (!(error instanceof TransparencyRefused)) throw error;
      throw new TransparencyRefused(`policy: line ${at + 1}: ${error.message}`);
    }
  }
  const { quorum } = draft;
  if (quorum === undefined) throw new TransparencyRefused('policy: there is no quorum line');
  return { ...draft, quorum };
}

/**
 * The policy in its one form: logs, witnesses, groups, quorum, thresholds as numbers, one space, no comments.
 *
 * @throws RangeError when a name or an address is empty or holds white space
 * @throws TransparencyRefused as `parsePolicy`
 */
export function formatPolicy({ logs, witnesses, groups, quorum }: TrustPolicy): string {
  const lines = [
    ...logs.map((log) => ['log', ...keyItems(log)]),
    ...witnesses.map((witness) => ['witness', witness.name, ...keyItems(witness)]),
    ...groups.map(({ name, threshold, members }) => ['group', name, String(threshold), ...members]),
    ['quorum', quorum],
  ];
  const torn = lines.flat().find((item) => !/^[^ \t\n]+$/.test(item));
  if (torn !== undefined) throw new RangeError(`policy: ${JSON.stringify(torn)} is empty or holds white space`);
  const text = lines.map((items) => `${items.join(' ')}\n`).join('');
  parsePolicy(text);
  return text;
}

const keyItems = ({ key, url }: TrustedLog): string[] => [formatVerifierKey(key), ...(url === undefined ? [] : [url])];

/**
 * The policy that most logs need: one log, and any `threshold` of these witnesses.
 *
 * @param threshold - 0 … witnesses.length
 * @throws RangeError, TransparencyRefused as `formatPolicy`
 */
export function thresholdPolicy(log: VerifierKey, witnesses: readonly VerifierKey[], threshold: number): TrustPolicy {
  const group = { name: `${threshold}-of-${witnesses.length}`, threshold, members: witnesses.map(({ name }) => name) };
  const policy = {
    logs: [{ key: log }],
    witnesses: witnesses.map((key) => ({ name: key.name, key })),
    groups: threshold === 0 ? [] : [group],
    quorum: threshold === 0 ? 'none' : group.name,
  };
  formatPolicy(policy);
  return policy;
}

/** Have enough of the policy's witnesses cosigned? Others do not count, whatever their names. */
export function satisfied(policy: TrustPolicy, cosignedBy: readonly Cosignature[]): boolean {
  const keys = new Set(cosignedBy.map(({ key }) => key));
  const witnessed = new Set(
    policy.witnesses.filter(({ key }) => keys.has(formatVerifierKey(key))).map(({ name }) => name),
  );
  // members come before their groups, so one pass is enough
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => witnessed.has(member)).length >= threshold) witnessed.add(name);
  }
  return policy.quorum === 'none' || witnessed.has(policy.quorum);
}

interface Draft {
  readonly logs: TrustedLog[];
  readonly witnesses: TrustedWitness[];
  readonly groups: WitnessGroup[];
  quorum: string | undefined;
}

function addLine(draft: Draft, line: string): void {
  const [keyword, ...items] = line.split(/[ \t]+/).filter((item) => item !== '');
  if (keyword === undefined || keyword.startsWith('#')) return;
  switch (keyword) {
    case 'log':
      return addLog(draft, items);
    case 'witness':
      return addWitness(draft, items);
    case 'group':
      return addGroup(draft, items);
    case 'quorum':
      return setQuorum(draft, items);
    default:
      throw new TransparencyRefused('begins with none of log, witness, group, quorum');
  }
}

function addLog({ logs }: Draft, [vkey, url, ...more]: readonly string[]): void {
  if (vkey === undefined || more.length > 0) throw new TransparencyRefused('not "log <vkey> [<url>]"');
  logs.push({ key: newKey(vkey, ED25519, logs), ...(url === undefined ? {} : { url }) });
}

function addWitness(draft: Draft, [name, vkey, url, ...more]: readonly string[]): void {
  if (name === undefined || vkey === undefined || more.length > 0) {
    throw new TransparencyRefused('not "witness <name> <vkey> [<url>]"');
  }
  must(!isDefined(draft, name), `the name ${name} is taken`);
  const key = newKey(vkey, ED25519_COSIGNATURE, draft.witnesses);
  draft.witnesses.push({ name, key, ...(url === undefined ? {} : { url }) });
}

function addGroup(draft: Draft, [name, wanted, ...members]: readonly string[]): void {
  if (name === undefined || wanted === undefined || members.length === 0) {
    throw new TransparencyRefused('not "group <name> <any, all or how many> <name>..."');
  }
  must(!isDefined(draft, name), `the name ${name} is taken`);
  const used = draft.groups.flatMap((group) => group.members);
  for (const member of members) {
    must(member !== 'none' && isDefined(draft, member), `${member} is no witness or group of a line above`);
    // in one place only: nobody counts twice
    must(!used.includes(member), `${member} is already a member, of this or another group`);
    used.push(member);
  }
  const threshold = wanted === 'any' ? 1 : wanted === 'all' ? members.length : parseDecimal(wanted, 'threshold');
  must(threshold >= 1 && threshold <= members.length, `${wanted} of ${members.length} members cannot be asked for`);
  draft.groups.push({ name, threshold, members });
}

function setQuorum(draft: Draft, [name, ...more]: readonly string[]): void {
  if (name === undefined || more.length > 0) throw new TransparencyRefused('not "quorum <name>"');
  must(draft.quorum === undefined, 'there is a quorum line above');
  must(isDefined(draft, name), `${name} is no witness or group of a line above, nor none`);
  draft.quorum = name;
}

/** Keys are the same when the public key is, whatever they are called (tlog-policy, Public key representation). */
function newKey(vkey: string, type: VerifierKey['type'], listed: readonly TrustedLog[]): VerifierKey {
  const key = parseVerifierKey(vkey);
  must(key.type === type, `a key of type ${type} is needed, got ${key.type}`);
  must(!listed.some((each) => Buffer.from(each.key.publicKey).equals(key.publicKey)), 'the public key stands above');
  return key;
}

const isDefined = ({ witnesses, groups }: Draft, name: string): boolean =>
  name === 'none' || [...witnesses, ...groups].some((each) => each.name === name);

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new TransparencyRefused(otherwise);
}
