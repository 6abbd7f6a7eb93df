/** A certificate that signs itself, so that whoever trusts it trusts its server. */
import { execFileSync } from 'node:child_process'

export interface Certificate {
  /** Paths of PEM files. */
  readonly cert: string
  readonly key: string
}

/** @param names such as `DNS:localhost` or `IP:127.0.0.1` */
export function makeCertificate({ cert, key }: Certificate, names = 'DNS:localhost'): Certificate {
  const subject = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`]
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...made, ...subject, '-out', cert, '-keyout', key], {
    stdio: 'ignore',
  })
  return { cert, key }
}
