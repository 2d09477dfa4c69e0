import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { enrolmentDigest, enrolmentProof, invitationHash } from '../../../aggregation/enrolment.ts';
import { hex } from '../../../aggregation/plan.ts';
import type { Noised } from '../../../privacy/steps.ts';
import { SpeakingTenant } from '../large-task/speaking-tenant.ts';

/**
 * Many tenants in one process, for `npm run load`: each speaks the whole protocol over a connection of its own, from an address
 * that it shares with a few others (127.0.0.0/8 is all this machine), so that they keep within what a coordinator lets one
 * address do.
 *
 *   enrol ──▶ 'enrolled' ──connect──▶ 'connected' ──▶ 'over', with how it ended for each
 */
export interface SiteOrder {
  readonly url: string;
  /** the operator's, to invite them */
  readonly token: string;
  readonly names: readonly string[];
  /** number of the first address: 127.0.FIRST.1 and so on */
  readonly block: number;
}

export type SiteReport =
  | { readonly type: 'enrolled' | 'connected' }
  | { readonly type: 'over'; readonly ends: readonly string[] };

/** Enrolments a minute from one address, and then some room. */
const TO_AN_ADDRESS = 15;
/** Enrolled or connected at one time. */
const AT_ONCE = 8;

if (process.argv[1] === import.meta.filename) {
  const [order] = (await once(process, 'message')) as [SiteOrder];
  const tenants = order.names.map((name) => new SpeakingTenant(name, numbers));
  const from = (i: number): string => `127.0.${order.block}.${1 + Math.floor(i / TO_AN_ADDRESS)}`;
  await inTurn(tenants, (tenant, i) => enrol(order, tenant, from(i)));
  report({ type: 'enrolled' });
  await once(process, 'message');
  const url = `${order.url.replace('http', 'ws')}/federation`;
  await inTurn(tenants, async (tenant, i) => {
    tenant.connect(url, from(i));
    await Promise.race([
      tenant.welcomed,
      tenant.over.then((why) => Promise.reject(new Error(`${tenant.name}: ${why}`))),
    ]);
  });
  report({ type: 'connected' });
  report({ type: 'over', ends: await Promise.all(tenants.map(({ over }) => over)) });
}

function report(message: SiteReport): void {
  process.send!(message);
}

async function inTurn<T>(all: readonly T[], work: (one: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < all.length; i = next++) await work(all[i]!, i);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function enrol(
  { url, token }: SiteOrder,
  { name: tenant, key, identity }: SpeakingTenant,
  from: string,
): Promise<void> {
  const { code } = (await post(`${url}/invitations`, { tenant }, from, token)) as { code: string };
  const proof = enrolmentProof(invitationHash(code), { tenant, key });
  const signature = hex(identity.sign(enrolmentDigest({ tenant, key, proof })));
  await post(`${url}/enrolments`, { tenant, key, proof, signature }, from);
}

/** As `fetch`, from an address of one's choice. */
async function post(url: string, body: object, from: string, token?: string): Promise<unknown> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const headers = { 'content-type': 'application/json', ...authorization };
  const sent = request(url, { method: 'POST', localAddress: from, headers, agent: false });
  sent.end(JSON.stringify(body));
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  if (response.statusCode === 429) {
    await sleep(5_000);
    return post(url, body, from, token);
  }
  if (response.statusCode !== 200) throw new Error(`${url}: ${text}`);
  return JSON.parse(text);
}

/** In place of what a model would have given; a client has its vector to itself. */
function numbers(length: number): Noised {
  return Float64Array.from({ length }, (_, i) => (i % 2001) - 1000) as Noised;
}
