// One side of a journey: each line of input names a step and its arguments, each line of output is its answer.
import { createInterface } from 'node:readline'

export async function journey(steps) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { step, ...argument } = JSON.parse(line)
    let answer
    try {
      answer = { value: (await steps[step](argument)) ?? null }
    } catch (error) {
      answer = { error: told(error) }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
}

function told(error) {
  const { name, message, code, status, cause } = error
  const response = error.response ?? {}
  return {
    name,
    message,
    code,
    status: status ?? response.status ?? null,
    error: error.error ?? response.data?.error ?? null,
    description: error.error_description ?? null,
    body: response.data ?? null,
    cause: cause ? String(cause.message ?? cause) : null,
  }
}
