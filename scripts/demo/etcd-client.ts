/** Waits until etcd answers `/version` and returns the answer. */
export async function waitForVersion(url: string, timeoutMs: number): Promise<{ etcdserver: string }> {
	const deadline = Date.now() + timeoutMs;
	for (;;) {
		try {
			const response = await fetch(`${url}/version`, { signal: AbortSignal.timeout(2000) });
			return (await response.json()) as { etcdserver: string };
		} catch (error) {
			if (Date.now() > deadline) throw new Error(`etcd did not answer on ${url}`, { cause: error });
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	}
}

export async function putKey(url: string, key: string, value: string): Promise<void> {
	await post(`${url}/v3/kv/put`, { key: encode(key), value: encode(value) });
}

export async function getKey(url: string, key: string): Promise<string | undefined> {
	const answer = (await post(`${url}/v3/kv/range`, { key: encode(key) })) as { kvs?: { value: string }[] };
	const value = answer.kvs?.[0]?.value;
	return value && Buffer.from(value, "base64").toString();
}

/** The JSON gateway of etcd carries keys and values in base64. */
function encode(text: string): string {
	return Buffer.from(text).toString("base64");
}

async function post(url: string, body: Record<string, string>): Promise<unknown> {
	const response = await fetch(url, {
		method: "POST",
		body: JSON.stringify(body),
		signal: AbortSignal.timeout(10_000),
	});
	if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
	return await response.json();
}
