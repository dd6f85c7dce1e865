//! A small assembler for the kernel's packet filter code: forward jumps to labels, of any distance.

use libc::sock_filter;

const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// A place in the code that is jumped to, always forward.
#[derive(Debug, Clone, Copy)]
pub struct Label(usize);

/// One instruction whose jump isn't resolved yet.
struct Line {
    code: u16,
    operand: u32,
    target: Option<Label>,
}

pub struct Assembler {
    lines: Vec<Line>,
    /// Where each label stands; set when it is placed.
    labels: Vec<Option<usize>>,
}

impl Assembler {
    pub fn new() -> Self {
        Self { lines: Vec::new(), labels: Vec::new() }
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label means the next instruction.
    pub fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.lines.len());
    }

    /// Loads 32 bits of the call's data.
    pub fn load(&mut self, offset: u32) {
        self.push(LOAD_WORD, offset, None);
    }

    pub fn mask(&mut self, bits: u32) {
        self.push(AND, bits, None);
    }

    pub fn answer(&mut self, action: u32) {
        self.push(RETURN, action, None);
    }

    pub fn jump_if_equal(&mut self, value: u32, target: Label) {
        self.jump_if(JUMP_EQUAL, value, target);
    }

    pub fn jump_if_at_least(&mut self, value: u32, target: Label) {
        self.jump_if(JUMP_AT_LEAST, value, target);
    }

    pub fn jump_if_any_bit(&mut self, bits: u32, target: Label) {
        self.jump_if(JUMP_ANY_BIT, bits, target);
    }

    /// A conditional jump reaches 255 instructions; [`Assembler::finish`] adds a plain jump to one that goes further.
    fn jump_if(&mut self, code: u16, operand: u32, target: Label) {
        self.push(code, operand, Some(target));
    }

    fn push(&mut self, code: u16, operand: u32, target: Option<Label>) {
        self.lines.push(Line { code, operand, target });
    }

    /// The code. A label that was never placed jumps to the end, where the call is refused as unknown.
    pub fn finish(mut self) -> Vec<sock_filter> {
        self.answer(super::refuse(libc::ENOSYS));
        let last = self.lines.len() - 1;
        let far = self.far_jumps(last);
        // Where each line goes when the far ones take two instructions.
        let mut places = Vec::with_capacity(self.lines.len());
        let mut next = 0;
        for is_far in &far {
            places.push(next);
            next += if *is_far { 2 } else { 1 };
        }
        let mut code = Vec::with_capacity(next);
        for (index, line) in self.lines.iter().enumerate() {
            let target = line.target.map(|label| places[self.labels[label.0].unwrap_or(last)]);
            let here = places[index];
            match target {
                None => code.push(sock_filter { code: line.code, jt: 0, jf: 0, k: line.operand }),
                Some(target) if !far[index] => {
                    // `far_jumps` found it to be in reach even if every line between were doubled.
                    let distance = u8::try_from(target - here - 1).unwrap_or(u8::MAX);
                    code.push(sock_filter { code: line.code, jt: distance, jf: 0, k: line.operand });
                }
                Some(target) => {
                    code.push(sock_filter { code: line.code, jt: 0, jf: 1, k: line.operand });
                    code.push(sock_filter { code: JUMP, jt: 0, jf: 0, k: (target - here - 2) as u32 });
                }
            }
        }
        code
    }

    /// Which jumps might be too far for a conditional one.
    fn far_jumps(&self, last: usize) -> Vec<bool> {
        self.lines
            .iter()
            .enumerate()
            .map(|(index, line)| {
                line.target.is_some_and(|label| {
                    let target = self.labels[label.0].unwrap_or(last);
                    2 * (target - index) > usize::from(u8::MAX)
                })
            })
            .collect()
    }
}
