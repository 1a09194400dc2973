//! The machine code that skews a clock, for x86-64: a few instructions beside three words of data.
//!
//! It asks the kernel by a system call instead of the vDSO's own code, which it therefore need not
//! understand nor move: some 100 ns more for a question. Then it turns the true time into
//! `target + ((true - base) * rate >> 32)`, all in nanoseconds, by products of 128 bits.

use super::Skew;

/// Where in [`CODE`] each word and function begins.
const BASE: usize = 0x00;
const TARGET: usize = 0x08;
const RATE: usize = 0x10;
const CLOCK_GETTIME: usize = 0x18;
const GETTIMEOFDAY: usize = 0x36;
const TIME: usize = 0x53;

/// The functions of the vDSO that are led here, by name, and where to.
pub(super) const FUNCTIONS: [(&str, usize); 3] = [
    ("__vdso_clock_gettime", CLOCK_GETTIME),
    ("__vdso_gettimeofday", GETTIMEOFDAY),
    ("__vdso_time", TIME),
];

/// It can lie anywhere, if aligned to 8: data is found relative to the instructions.
#[rustfmt::skip]
const CODE: [u8; 0xca] = [
    // base, target, rate: .quad 0
    0, 0, 0, 0, 0, 0, 0, 0,   0, 0, 0, 0, 0, 0, 0, 0,   0, 0, 0, 0, 0, 0, 0, 0,
    // clock_gettime(edi = clock, rsi = timespec):
    0xb8, 0xe4, 0x00, 0x00, 0x00,                   // 18  mov  eax, 228        clock_gettime
    0x0f, 0x05,                                     // 1d  syscall
    0x48, 0x85, 0xc0,                               // 1f  test rax, rax
    0x75, 0x11,                                     // 22  jnz  35              it failed
    0x85, 0xff,                                     // 24  test edi, edi        CLOCK_REALTIME
    0x74, 0x05,                                     // 26  jz   2d
    0x83, 0xff, 0x05,                               // 28  cmp  edi, 5          CLOCK_REALTIME_COARSE
    0x75, 0x08,                                     // 2b  jne  35
    0x41, 0xb8, 0x01, 0x00, 0x00, 0x00,             // 2d  mov  r8d, 1          nanoseconds
    0xeb, 0x4d,                                     // 33  jmp  82
    0xc3,                                           // 35  ret
    // gettimeofday(rdi = timeval or null, rsi = timezone or null):
    0xb8, 0x60, 0x00, 0x00, 0x00,                   // 36  mov  eax, 96         gettimeofday
    0x0f, 0x05,                                     // 3b  syscall
    0x48, 0x85, 0xc0,                               // 3d  test rax, rax
    0x75, 0x10,                                     // 40  jnz  52
    0x48, 0x85, 0xff,                               // 42  test rdi, rdi
    0x74, 0x0b,                                     // 45  jz   52
    0x48, 0x89, 0xfe,                               // 47  mov  rsi, rdi
    0x41, 0xb8, 0xe8, 0x03, 0x00, 0x00,             // 4a  mov  r8d, 1000       microseconds
    0xeb, 0x30,                                     // 50  jmp  82
    0xc3,                                           // 52  ret
    // time(rdi = where to, or null): the true seconds would not do, for rates
    0x49, 0x89, 0xf9,                               // 53  mov  r9, rdi
    0x48, 0x83, 0xec, 0x18,                         // 56  sub  rsp, 24
    0x31, 0xff,                                     // 5a  xor  edi, edi        CLOCK_REALTIME
    0x48, 0x89, 0xe6,                               // 5c  mov  rsi, rsp
    0xb8, 0xe4, 0x00, 0x00, 0x00,                   // 5f  mov  eax, 228        clock_gettime
    0x0f, 0x05,                                     // 64  syscall
    0x41, 0xb8, 0x01, 0x00, 0x00, 0x00,             // 66  mov  r8d, 1
    0xe8, 0x11, 0x00, 0x00, 0x00,                   // 6c  call 82
    0x48, 0x8b, 0x04, 0x24,                         // 71  mov  rax, [rsp]
    0x48, 0x83, 0xc4, 0x18,                         // 75  add  rsp, 24
    0x4d, 0x85, 0xc9,                               // 79  test r9, r9
    0x74, 0x03,                                     // 7c  jz   81
    0x49, 0x89, 0x01,                               // 7e  mov  [r9], rax
    0xc3,                                           // 81  ret
    // skew(rsi = seconds and fraction, r8 = nanoseconds in a unit of the fraction):
    0x48, 0x69, 0x06, 0x00, 0xca, 0x9a, 0x3b,       // 82  imul rax, [rsi], 1000000000
    0x48, 0x8b, 0x4e, 0x08,                         // 89  mov  rcx, [rsi+8]
    0x49, 0x0f, 0xaf, 0xc8,                         // 8d  imul rcx, r8
    0x48, 0x01, 0xc8,                               // 91  add  rax, rcx
    0x48, 0x2b, 0x05, 0x65, 0xff, 0xff, 0xff,       // 94  sub  rax, [base]
    0x48, 0xf7, 0x2d, 0x6e, 0xff, 0xff, 0xff,       // 9b  imul qword [rate]    rdx:rax
    0x48, 0x0f, 0xac, 0xd0, 0x20,                   // a2  shrd rax, rdx, 32
    0x48, 0x03, 0x05, 0x5a, 0xff, 0xff, 0xff,       // a7  add  rax, [target]
    0x31, 0xd2,                                     // ae  xor  edx, edx
    0xb9, 0x00, 0xca, 0x9a, 0x3b,                   // b0  mov  ecx, 1000000000
    0x48, 0xf7, 0xf1,                               // b5  div  rcx
    0x48, 0x89, 0x06,                               // b8  mov  [rsi], rax
    0x48, 0x89, 0xd0,                               // bb  mov  rax, rdx
    0x31, 0xd2,                                     // be  xor  edx, edx
    0x49, 0xf7, 0xf0,                               // c0  div  r8
    0x48, 0x89, 0x46, 0x08,                         // c3  mov  [rsi+8], rax
    0x31, 0xc0,                                     // c7  xor  eax, eax
    0xc3,                                           // c9  ret
];

/// How many bytes it takes.
pub(super) const SIZE: usize = CODE.len();

/// The bytes of a jump.
pub(super) const JUMP: usize = 5;

/// The code with these words.
pub(super) fn code(skew: Skew) -> [u8; SIZE] {
    let mut code = CODE;
    for (at, word) in [(BASE, skew.base), (TARGET, skew.target), (RATE, skew.rate)] {
        code[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    code
}

/// The words in the code, if it is ours.
pub(super) fn skew(code: &[u8]) -> Option<Skew> {
    let ours = code.get(CLOCK_GETTIME..SIZE)? == &CODE[CLOCK_GETTIME..];
    let word = |at: usize| Some(i64::from_le_bytes(code.get(at..at + 8)?.try_into().ok()?));
    let skew = Skew { base: word(BASE)?, target: word(TARGET)?, rate: word(RATE)? };
    ours.then_some(skew)
}

/// `jmp to`, to be put at `from`; `None` if that is too far.
pub(super) fn jump(from: usize, to: usize) -> Option<[u8; JUMP]> {
    let after = i64::try_from(from + JUMP).ok()?;
    let distance = i32::try_from(i64::try_from(to).ok()? - after).ok()?;
    let [a, b, c, d] = distance.to_le_bytes();
    Some([0xe9, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written_from_nothing_but_our_code() {
        let known = Skew { base: 1, target: -2, rate: 3 << 32 };
        let mut code = code(known);
        assert_eq!(skew(&code), Some(known));
        code[SIZE - 1] ^= 1;
        assert_eq!(skew(&code), None);
        assert_eq!(skew(&code[..SIZE - 1]), None);
    }

    #[test]
    fn a_jump_counts_from_its_own_end() {
        assert_eq!(jump(0x100, 0x200), Some([0xe9, 0xfb, 0, 0, 0]));
        assert_eq!(jump(0x200, 0x100), Some([0xe9, 0xfb, 0xfe, 0xff, 0xff]));
        assert_eq!(jump(0, 1 << 40), None);
    }
}
