import { z } from 'zod';
import { answerFrom, readyAt } from '../aggregation/address.ts';
import { CommandError, EXIT, exitOf } from '../aggregation/exit.ts';
import { federationOf } from '../aggregation/federation.ts';
import { fingerprint } from '../aggregation/identity.ts';
import type { Policy } from './policy.ts';
import type { Reader } from './reader.ts';

/** A coordinator whose key has the fingerprint that the policy pins. */
export interface KnownCoordinator {
  readonly url: string;
  /** 32 bytes */
  readonly key: Uint8Array;
  /** the federation's hash */
  readonly federation: string;
  /** keys in the roster, as fingerprints, where it was asked for by one of them; nobody signed for this */
  readonly tenants: readonly { readonly tenant: string; readonly fingerprint: string }[];
}

const federation = z.object({
  key: z.string().regex(/^[0-9a-f]{64}$/),
  tenants: z.array(z.object({ tenant: z.string(), fingerprint: z.string() })).default([]),
});

/** @throws CommandError when nobody answers, or with another key */
export async function coordinatorOf(pinned: Policy['coordinator'], reader?: Reader): Promise<KnownCoordinator> {
  const url = await readyAt([pinned.url].flat());
  const { status, body } = await request(`${url}/federation`, undefined, reader?.('/federation'));
  if (status !== 200) throw refusal(url, status, body);
  const found = federation.safeParse(body);
  if (!found.success) throw new CommandError(EXIT.refused, `${url} is no coordinator of this version`);
  const key = Buffer.from(found.data.key, 'hex');
  if (fingerprint(key) !== pinned.fingerprint)
    throw new CommandError(
      EXIT.refused,
      `${url} has fingerprint ${fingerprint(key)}, the policy pins ${pinned.fingerprint}`,
    );
  return { url, key, federation: federationOf(key), tenants: found.data.tenants };
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** GET, or POST where there is a body. @throws CommandError when nobody answers */
export async function request(url: string, body?: object, authorization?: string): Promise<Answer> {
  const shown = authorization === undefined ? {} : { authorization };
  const sent = body && { method: 'POST', body: JSON.stringify(body) };
  const headers = { ...shown, ...(sent && { 'content-type': 'application/json' }) };
  const response = await answerFrom(url, { ...sent, headers });
  return { status: response.status, body: await response.json().catch(() => ({})) };
}

/** What the coordinator said against a request. */
export function refusal(url: string, status: number, body: unknown): CommandError {
  const { detail } = (body ?? {}) as { detail?: string };
  return new CommandError(exitOf(status), detail ?? `${url} answered ${status}`);
}
