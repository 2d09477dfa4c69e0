import { latticeMask } from './lattice-mask/protocol.ts';
import { masking } from './masking/protocol.ts';
import { plain } from './plain.ts';
import type { SecureSum, SecureSumName } from './secure-sum.ts';
import { thresholdHe } from './threshold-he/protocol.ts';

const protocols: Readonly<Record<SecureSumName, SecureSum>> = {
  plain,
  masking,
  'lattice-mask': latticeMask,
  'threshold-he': thresholdHe,
};

/** The protocol of this name. Loading it starts nothing; SEAL starts with the first epoch that needs it. */
export function protocolNamed(name: SecureSumName): SecureSum {
  return protocols[name];
}
