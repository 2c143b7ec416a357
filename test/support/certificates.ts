import { webcrypto } from 'node:crypto';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

/** In PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** An authority of its own, and a server's certificate of it for this host name. */
export async function issueCertificates(host: string): Promise<{ authority: string; server: Issued }> {
  const validity = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + DAY_MS) };
  const parent = await makeKeys();
  const authority = await X509CertificateGenerator.createSelfSigned({
    name: `CN=Authority of ${host}`,
    ...validity,
    keys: parent,
    extensions: [new BasicConstraintsExtension(true)],
  });
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${host}`,
    issuer: authority.subject,
    ...validity,
    publicKey: keys.publicKey,
    signingKey: parent.privateKey,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: host }])],
  });
  const exported = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${exported}\n-----END PRIVATE KEY-----\n`;
  return { authority: authority.toString('pem'), server: { certificate: certificate.toString('pem'), key } };
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}
