import { existsSync, readFileSync } from 'node:fs';
import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { ROLES, type Role } from '../../aggregation/act.ts';
import { isLoopback } from '../../aggregation/address.ts';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import type { Bearer } from './roles.ts';

/**
 * People who sign in elsewhere (OpenID Connect): a bearer's JWT counts when the issuer in `folder/oidc.json` signed it for us.
 *
 *   token ─▶ iss is ours? ─▶ discovery, keys (fetched when first needed, and when a key is new) ─▶ signature, aud, exp, nbf ─▶ role
 *
 * Signatures and claims are `jose`'s to check (RFC 7519, RFC 8725): algorithms are a list, without `none` and without HS*, where a
 * public key would be the secret. An issuer that does not answer shuts its own people out, nobody else.
 */
export interface People {
  /** @returns undefined when the token counts for nothing here @throws IssuerUnavailable */
  bearerOf(jwt: string): Promise<(Omit<Bearer, 'id'> & { readonly issuer: string }) | 'no-role' | undefined>;
}

export class IssuerUnavailable extends Error {
  override readonly name = 'IssuerUnavailable';
}

const issuer = z.url({ protocol: /^https?$/ }).refine(isSafe, 'an issuer is reached by https, or on this machine');
const oidcSchema = z.strictObject({
  issuer,
  /** what tokens for this coordinator carry as `aud` */
  audience: z.string().min(1),
  /** a claim at the top of the token: one text, or a list of them */
  claim: z.string().min(1),
  /** what stands in the claim, and the role it gives */
  roles: z.record(z.string().min(1), z.enum(ROLES)),
});
export type OidcSettings = z.infer<typeof oidcSchema>;

/** @returns undefined when there is no such file @throws CommandError naming file and field */
export function readOidc(file: string): OidcSettings | undefined {
  if (!existsSync(file)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CommandError(EXIT.input, `${file}: not JSON: ${(error as Error).message}`);
  }
  const { success, data, error } = oidcSchema.safeParse(value);
  if (success) return data;
  const lines = error.issues.map(({ path, message }) => `${file}: ${path.join('.') || '(top)'}: ${message}`);
  throw new CommandError(EXIT.input, lines.join('\n'));
}

/** RFC 8725 §3.1: signatures with a private key that only the issuer has. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const TIMEOUT_MS = 5000;
const CLOCK_TOLERANCE_S = 30;

/**
 * @param clock - Unix ms
 * @param cooldownMs - the issuer is asked for a key it did not have at most once in this time
 */
export function openPeople(settings: OidcSettings, clock: () => number, cooldownMs = 30_000): People {
  const keys = lazily(() => keysOf(settings.issuer, cooldownMs));
  return {
    async bearerOf(jwt) {
      if (issuerIn(jwt) !== settings.issuer) return undefined; // nobody else's token makes us ask the issuer for keys
      const payload = await verified(jwt, keys, settings, clock);
      if (payload === undefined) return undefined;
      const role = roleOf(payload[settings.claim], settings.roles);
      return role === undefined ? 'no-role' : { role, holder: payload.sub!, issuer: settings.issuer };
    },
  };
}

async function verified(
  jwt: string,
  keys: JWTVerifyGetKey,
  { issuer, audience }: OidcSettings,
  clock: () => number,
): Promise<JWTPayload | undefined> {
  try {
    const { payload } = await jwtVerify(jwt, keys, {
      ...{ issuer, audience, algorithms: ALGORITHMS, requiredClaims: ['exp', 'sub'] },
      ...{ currentDate: new Date(clock()), clockTolerance: CLOCK_TOLERANCE_S },
    });
    return payload;
  } catch (error) {
    if (error instanceof IssuerUnavailable) throw error;
    return undefined;
  }
}

/** OpenID Connect Discovery 1.0 §4. @throws IssuerUnavailable */
async function keysOf(issuer: string, cooldownDuration: number): Promise<JWTVerifyGetKey> {
  const found = await discovered(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  // §4.3: another issuer's configuration would bring another issuer's keys
  if (found?.issuer !== issuer || !isSafe(found.jwks_uri))
    throw new IssuerUnavailable(`${issuer} has no configuration`);
  return createRemoteJWKSet(new URL(found.jwks_uri), { timeoutDuration: TIMEOUT_MS, cooldownDuration });
}

const configuration = z.object({ issuer: z.string(), jwks_uri: z.url() });

async function discovered(url: string): Promise<z.infer<typeof configuration> | undefined> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? configuration.safeParse(await response.json()).data : undefined;
  } catch {
    return undefined;
  }
}

/** Keys that are found when first needed; where that fails, when needed again. */
function lazily(find: () => Promise<JWTVerifyGetKey>): JWTVerifyGetKey {
  let found: Promise<JWTVerifyGetKey> | undefined;
  return async (header, token) => {
    found ??= find().catch((error: unknown) => {
      found = undefined;
      throw error;
    });
    const keys = await found;
    try {
      return await keys(header, token);
    } catch (error) {
      // the issuer was asked, and has no such key: that is the token's fault, everything else is not
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      throw new IssuerUnavailable('its keys cannot be had', { cause: error });
    }
  };
}

/** What it says, before anything of it is believed. */
function issuerIn(jwt: string): string | undefined {
  try {
    return decodeJwt(jwt).iss;
  } catch {
    return undefined;
  }
}

/** The one that may do most, of those that the claim gives. */
function roleOf(claim: unknown, roles: OidcSettings['roles']): Role | undefined {
  const held = [claim].flat().map((one) => (typeof one === 'string' ? roles[one] : undefined));
  return ROLES.find((role) => held.includes(role));
}

/** Plain HTTP would let anybody on the way put in keys of his own. */
function isSafe(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || isLoopback(hostname);
}
