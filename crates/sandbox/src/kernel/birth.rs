//! How a zygote's copy is born: machine code for a process that isn't ours.
//!
//! The copy is to be the child of a process in the sandbox, which ends at once, so that the sandbox's first process
//! adopts it. A fork for that process would copy the zygote's memory only to drop it. This code makes it share the
//! zygote's memory instead, while the zygote waits in the kernel (as `vfork` does), and call the C library's `fork` for
//! the copy.
//!
//! Between the first call and the end of the process between, that process runs on the zygote's stack, below everything
//! that the zygote has there, and writes nothing else of the zygote's but what `fork` itself writes for its caller.
//!
//! As C sees it: `long birth(int (*fork)(void))` answers 0 in the copy, and in the zygote the number of the process
//! between, which is to be waited for, or an error number below 0.

/// The code, to be copied to memory that may be executed; empty where there is none for this architecture, and zygotes
/// fork twice.
pub fn birth() -> &'static [u8] {
    CODE
}

#[cfg(not(target_arch = "x86_64"))]
const CODE: &[u8] = &[];

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const CODE: &[u8] = &[
    0x53,                               // push rbx            the stack is aligned for a call again
    0x48, 0x89, 0xfb,                   // mov  rbx, rdi       fork
    0xb8, 0x38, 0x00, 0x00, 0x00,       // mov  eax, 56        clone
    0xbf, 0x11, 0x41, 0x00, 0x00,       // mov  edi, 0x4111    CLONE_VM | CLONE_VFORK | SIGCHLD
    0x31, 0xf6,                         // xor  esi, esi       on this stack
    0x31, 0xd2,                         // xor  edx, edx
    0x4d, 0x31, 0xd2,                   // xor  r10, r10
    0x4d, 0x31, 0xc0,                   // xor  r8, r8
    0x0f, 0x05,                         // syscall
    0x48, 0x85, 0xc0,                   // test rax, rax
    0x75, 0x14,                         // jnz  end            the zygote, or an error
    0xff, 0xd3,                         // call rbx
    0x85, 0xc0,                         // test eax, eax
    0x74, 0x0c,                         // jz   copy
    0xc1, 0xe8, 0x1f,                   // shr  eax, 31        1 if there is no copy
    0x89, 0xc7,                         // mov  edi, eax
    0xb8, 0x3c, 0x00, 0x00, 0x00,       // mov  eax, 60        exit
    0x0f, 0x05,                         // syscall
    0x31, 0xc0,                         // copy: xor eax, eax
    0x5b,                               // end: pop rbx
    0xc3,                               // ret
];
