import type { Target } from './target.ts';

/** Of a million inputs, in thousands: what costs little gets more. */
export const SHARES: Readonly<Record<string, number>> = {
  decoder: 800,
  'coordinator-stranger': 80,
  'coordinator-tenant': 30,
  participant: 30,
  http: 25,
  files: 35,
};

/** Everything that is fuzzed; loaded when it is. */
export const TARGETS = {
  decoder: async () => (await import('./decoder.ts')).decoder(),
  'coordinator-stranger': async () => (await import('./coordinator-stranger.ts')).coordinatorStranger(),
  'coordinator-tenant': async () => (await import('./coordinator-tenant.ts')).coordinatorTenant(),
  participant: async () => (await import('./participant.ts')).participant(),
  http: async () => (await import('./http.ts')).http(),
  files: async () => (await import('./files.ts')).files(),
} as unknown as Readonly<Record<string, () => Promise<Target<unknown>>>>;
