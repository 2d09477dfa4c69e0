import type { TenantId } from '../../aggregation/secure-sum.ts';

/** Tenants of every federation that is fuzzed, in order of name. */
export const FUZZED: readonly TenantId[] = ['ada', 'bob', 'cleo', 'dan', 'eve'];

/** Whose key the fuzzer has. */
export const HOSTILE: TenantId = 'eve';
