exports.default = globalThis.crypto
