import type { Log } from "../../lib/log.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { Config } from "../config/config.ts";
import type { Keystore } from "../keystore/keystore.ts";
import type { Store } from "../store/store.ts";

export type PullPolicy = "never" | "new" | "update";

/** The part of `--insecure-options` that concerns fetching; true switches a check off. */
export interface InsecureFetchOptions {
	readonly image: boolean;
	readonly tls: boolean;
	readonly http: boolean;
	readonly pubkey: boolean;
}

export interface FetchOptions {
	readonly store: Store;
	readonly keystore: Keystore;
	readonly config: Config;
	readonly insecure: InsecureFetchOptions;
	readonly pullPolicy: PullPolicy;
	/** `--trust-keys-from-https`. */
	readonly trustKeysFromHttps: boolean;
	/** With the prefix `image`. */
	readonly log: Log;
	readonly syscall: Syscall;
	/** `--signature` of this image, a path. */
	readonly signature?: string | undefined;
	/** False for stage1 images. */
	readonly dependencies?: boolean;
	/** False leaves the tree unrendered; otherwise it is rendered when root can use overlayfs. */
	readonly render?: boolean;
}
