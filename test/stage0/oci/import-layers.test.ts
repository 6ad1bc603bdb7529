import t from "tap";
import { RktError } from "../../../lib/errors.ts";
import type { Log } from "../../../lib/log.ts";
import type { OciImage } from "../../../stage0/oci/image-source.ts";
import { importLayers } from "../../../stage0/oci/import-layers.ts";
import { verifiedBlob } from "../../../stage0/oci/verified-blob.ts";
import type { LayerSource } from "../../../stage0/store/layer-store.ts";
import { sha256 } from "../../support/oci-layer.ts";
import { waitFor } from "../../support/wait-for.ts";

const log: Log = { info: () => {}, debug: () => {}, debugging: false, withPrefix: () => log };

/** An image whose layers are these texts; `open` may give other bytes than the right ones. */
function imageOf(
	texts: readonly string[],
	open: (index: number, right: Buffer) => AsyncIterable<Buffer> = (_, right) => chunked(right),
): OciImage {
	const layers = texts.map((text) => ({
		descriptor: {
			mediaType: "application/vnd.oci.image.layer.v1.tar",
			digest: sha256(text),
			size: text.length,
		},
		diffId: sha256(text),
	}));
	return {
		source: "test",
		layers,
		openLayer: (index: number) => {
			const { descriptor } = layers[index] as (typeof layers)[0];
			return verifiedBlob(open(index, Buffer.from(texts[index] as string)), descriptor, `layer ${index}`);
		},
	} as unknown as OciImage;
}

async function* chunked(bytes: Buffer, size = 4): AsyncGenerator<Buffer> {
	for (let at = 0; at < bytes.length; at += size) {
		await new Promise(setImmediate);
		yield bytes.subarray(at, at + size);
	}
}

/** Keeps what it reads; `refuse` may throw at a piece. */
function storeOf(refuse: (text: string) => void = () => {}) {
	const kept = new Map<string, string>();
	const state = { open: 0, most: 0, asked: [] as string[] };
	return {
		kept,
		state,
		hasLayer: (diffId: string) => kept.has(diffId),
		ensureLayer: async (layer: LayerSource) => {
			state.asked.push(layer.diffId);
			if (kept.has(layer.diffId)) return;
			state.most = Math.max(state.most, ++state.open);
			try {
				let text = "";
				for await (const chunk of layer.open()) {
					text += chunk.toString();
					refuse(text);
				}
				kept.set(layer.diffId, text);
			} finally {
				state.open--;
			}
		},
	};
}

const refusal = () => new RktError("aci-invalid", "not a tar");
const outcome = (promise: Promise<void>) =>
	promise.then(
		() => "ok",
		(error) => error.code ?? error.message,
	);

t.test("layers are read some at once, and each once", async (t) => {
	const store = storeOf();
	const texts = ["aaaaaaaa", "bbbbbbbb", "aaaaaaaa", "cccccccc", "dddddddd", "eeeeeeee"];
	store.kept.set(sha256("bbbbbbbb"), "bbbbbbbb");
	await importLayers(imageOf(texts), { store, log });
	t.equal(store.kept.size, 5);
	t.equal(store.state.asked.length, 5, "the store is told of those that are there, too");
	t.ok(store.state.most > 1 && store.state.most <= 4, `${store.state.most} at once`);
});

t.test("the next layers are read while those before are written to the disk", async (t) => {
	const texts = Array.from({ length: 9 }, (_, index) => `layer-${index}`);
	const store = storeOf();
	let reading = 0;
	let most = 0;
	const waiting: (() => void)[] = [];
	const slow = {
		hasLayer: () => false,
		ensureLayer: async (layer: LayerSource) => {
			await store.ensureLayer(layer);
			await new Promise<void>((resolve) => waiting.push(resolve));
		},
	};
	async function* counted(bytes: Buffer): AsyncGenerator<Buffer> {
		most = Math.max(most, ++reading);
		yield* chunked(bytes);
		reading--;
	}
	const image = imageOf(texts, (_, right) => counted(right));
	const imported = importLayers(image, { store: slow, log });
	/** Waits for that many, and gives what there is when more had time to come. */
	const readUpTo = async (count: number): Promise<number> => {
		await waitFor(`${count} layers`, () => waiting.length + written >= count);
		for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
		return store.kept.size;
	};
	let written = 0;
	const writeOne = (): void => {
		written++;
		waiting.shift()?.();
	};
	t.equal(await readUpTo(4), 4, "four, and no more wait for the disk");
	for (let count = 5; count <= texts.length; count++) {
		writeOne();
		t.equal(await readUpTo(count), count, "one makes room for one");
	}
	while (waiting.length > 0) writeOne();
	t.equal(await outcome(imported), "ok");
	t.equal(store.kept.size, 9);
	t.equal(most, 2, "two are read at once");
});

t.test("an error while a layer is written to the disk comes out when nothing goes on any more", async (t) => {
	const store = storeOf();
	let going = 0;
	const failing = {
		hasLayer: () => false,
		ensureLayer: async (layer: LayerSource) => {
			going++;
			try {
				await store.ensureLayer(layer);
				await new Promise((resolve) => setTimeout(resolve, layer.diffId === sha256("first") ? 1 : 20));
			} finally {
				going--;
			}
			if (layer.diffId === sha256("first")) throw new RktError("disk-full", "no space left");
		},
	};
	const result = importLayers(imageOf(["first", "second", "third"]), { store: failing, log });
	t.equal(await outcome(result), "disk-full");
	t.equal(going, 0);
});

t.test("a layer that came wrong once is read again, and no more than once", async (t) => {
	let attempts = 0;
	const spoilt = (until: number) =>
		imageOf(["right-one"], (_, right) => chunked(attempts++ < until ? Buffer.from("wrong-one") : right));
	t.equal(await outcome(importLayers(spoilt(1), { store: storeOf(), log })), "ok");
	attempts = 0;
	t.equal(await outcome(importLayers(spoilt(9), { store: storeOf(), log })), "oci-digest-mismatch");
	t.equal(attempts, 2);
});

t.test("a wrong digest is told, not what the store found in the wrong bytes", async (t) => {
	const refusing = storeOf(() => {
		throw refusal();
	});
	const wrong = imageOf(["right-one"], () => chunked(Buffer.from("wrong-one")));
	t.equal(await outcome(importLayers(wrong, { store: refusing, log })), "oci-digest-mismatch");
	t.equal(await outcome(importLayers(imageOf(["right-one"]), { store: refusing, log })), "aci-invalid");
});

t.test("the first error ends the others, and every stream is let go", async (t) => {
	let open = 0;
	async function* endless(): AsyncGenerator<Buffer> {
		open++;
		try {
			for (;;) {
				await new Promise(setImmediate);
				yield Buffer.from("x");
			}
		} finally {
			open--;
		}
	}
	const image = imageOf(["a".repeat(2 ** 20), "c", "d"], (index, right) =>
		index === 0 ? endless() : chunked(right),
	);
	const store = storeOf((text) => {
		if (text === "c") throw refusal();
	});
	t.equal(await outcome(importLayers(image, { store, log })), "aci-invalid");
	t.equal(open, 0);
	t.equal(store.state.open, 0);
	t.notOk(store.kept.has(sha256("d")), "nothing new is begun");
});

t.test("a bug is not taken for a bad stream", async (t) => {
	const store = storeOf(() => {
		throw new TypeError("bug");
	});
	t.equal(
		await outcome(
			importLayers(
				imageOf(["x"], () => chunked(Buffer.from("y"))),
				{ store, log },
			),
		),
		"bug",
	);
});
