/** How a stage1 with virtual machines may run them: `kvm` demands the hardware's virtualization, `tcg` emulates. */
export const ACCELERATORS = ["auto", "kvm", "tcg"] as const;

/** One of {@link ACCELERATORS}: the caller's, or else stage0 sets it from its configuration. */
export const ACCELERATOR_VARIABLE = "RKT_KVM_ACCEL";
