import { hex } from './plan.ts';
import { digest } from './transcript.ts';

/** A federation is named after its coordinator's key: hexadecimal. @param coordinator - its key, 32 bytes */
export const federationOf = (coordinator: Uint8Array): string => hex(digest('parley/federation/v1', coordinator));
