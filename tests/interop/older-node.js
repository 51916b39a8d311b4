// What the libraries use and Node.js has only since version 22, 20 and 19. To be imported before them.
import { webcrypto } from 'node:crypto'

Promise.withResolvers ??= function () {
  const parts = {}
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }))
  return parts
}
globalThis.crypto ??= webcrypto
globalThis.CustomEvent ??= class extends Event {
  constructor (type, options) {
    super(type, options)
    this.detail = options?.detail ?? null
  }
}
