//! The vDSO: what the kernel put into this process, where it is in another, and how that is rewritten.
//!
//! The kernel gives the same image to every process of the same kind, so the truth about a foreign
//! one is our own: bytes that are to be restored are read from there, and an image that
//! differs from it elsewhere than we would have written is left alone.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use object::read::elf::{ElfFile64, FileHeader, SectionHeader};
use object::{Endianness, Object, ObjectSegment, ObjectSymbol, elf};
use procfs::ProcError;
use procfs::process::{MMapPath, Process};
use rustix::fs::OFlags;

use super::{ClockError, Skew, denied, failed, stub};

/// What is wrong with a vDSO; [`Trouble::of`] says whose it is.
#[derive(Debug)]
pub(super) enum Trouble {
    Proc(ProcError),
    Io(io::Error),
    Why(String),
    Processor(u16),
}

impl Trouble {
    pub(super) fn of(self, pid: u32) -> ClockError {
        match self {
            Trouble::Proc(error) => failed(pid, error),
            Trouble::Io(error) => denied(pid, error),
            Trouble::Why(why) => ClockError::Vdso { pid, why },
            Trouble::Processor(machine) => ClockError::Processor { machine },
        }
    }
}

impl From<object::Error> for Trouble {
    fn from(error: object::Error) -> Self {
        Trouble::Why(format!("this system's vDSO cannot be read: {error}"))
    }
}

/// The vDSO as the kernel made it, and where in it there is what.
#[derive(Debug)]
pub(super) struct Image {
    bytes: Vec<u8>,
    /// The first instruction of each of [`stub::FUNCTIONS`].
    entries: [usize; 3],
    /// Where our code goes: behind everything that the file has, where all is zero.
    room: usize,
}

impl Image {
    /// That of this process, which nobody has rewritten.
    pub(super) fn own() -> Result<Self, Trouble> {
        let process = Process::myself().map_err(Trouble::Proc)?;
        let range = find(&process)?;
        let memory = process.mem().map_err(Trouble::Proc)?;
        Self::parse(read(&memory, &range).map_err(Trouble::Io)?)
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, Trouble> {
        let file = ElfFile64::<Endianness>::parse(&bytes[..])?;
        let machine = file.elf_header().e_machine(file.endian());
        if machine != elf::EM_X86_64 {
            return Err(Trouble::Processor(machine.0));
        }
        let mut entries = [0; 3];
        for (entry, (name, _)) in entries.iter_mut().zip(stub::FUNCTIONS) {
            let symbol = file.dynamic_symbols().find(|symbol| symbol.name() == Ok(name));
            let symbol = symbol.filter(|symbol| symbol.size() >= ROOM_OF_AN_ENTRY);
            let missing = || Trouble::Why(format!("this system's vDSO has no {name}"));
            let at = symbol.and_then(|symbol| usize::try_from(symbol.address()).ok());
            *entry = after_landing_pad(&bytes, at.ok_or_else(missing)?);
        }
        let room = end(&file)?.next_multiple_of(8);
        let is_free = |room: &[u8]| room.len() >= stub::SIZE && room.iter().all(|byte| *byte == 0);
        if !bytes.get(room..).is_some_and(is_free) {
            return Err(Trouble::Why("this system's vDSO has no room in its last page".into()));
        }
        Ok(Image { bytes, entries, room })
    }

    /// The image with that skew.
    fn with(&self, skew: Skew) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[self.room()].copy_from_slice(&stub::code(skew));
        for (entry, (_, function)) in self.entries.into_iter().zip(stub::FUNCTIONS) {
            let jump = stub::jump(entry, self.room + function).expect("a vDSO is no 2 GB long");
            bytes[entry..entry + stub::JUMP].copy_from_slice(&jump);
        }
        bytes
    }

    /// Whether it became these bytes by nobody's doing but, perhaps, ours.
    fn made(&self, mut bytes: Vec<u8>, has_our_code: bool) -> bool {
        if has_our_code {
            for range in self.entries().chain([self.room()]) {
                bytes[range.clone()].copy_from_slice(&self.bytes[range]);
            }
        }
        bytes == self.bytes
    }

    fn room(&self) -> Range<usize> {
        self.room..self.room + stub::SIZE
    }

    fn entries(&self) -> impl Iterator<Item = Range<usize>> {
        self.entries.into_iter().map(|entry| entry..entry + stub::JUMP)
    }
}

/// A jump, behind what marks where one may land.
const ROOM_OF_AN_ENTRY: u64 = (stub::JUMP + ENDBR64.len()) as u64;

/// What functions begin with where the processor watches indirect jumps; it is to stay.
const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

fn after_landing_pad(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at..).is_some_and(|code| code.starts_with(&ENDBR64)) { at + 4 } else { at }
}

/// Behind the last byte that the file's headers claim for anything.
fn end(file: &ElfFile64<'_, Endianness>) -> Result<usize, Trouble> {
    let (header, endian) = (file.elf_header(), file.endian());
    let table = |offset: u64, size: u16, count: usize| offset + u64::from(size) * count as u64;
    let sections = header.section_headers(endian, file.data())?;
    let mut end =
        table(header.e_phoff(endian), header.e_phentsize(endian), file.segments().count());
    end = end.max(table(header.e_shoff(endian), header.e_shentsize(endian), sections.len()));
    for section in sections {
        let (offset, size) = section.file_range(endian).unwrap_or_default();
        end = end.max(offset + size);
    }
    for segment in file.segments() {
        let (offset, size) = segment.file_range();
        end = end.max(offset + size).max(segment.address() + segment.size());
    }
    usize::try_from(end).map_err(|_| Trouble::Why("this system's vDSO is too long".into()))
}

/// How long a process that begins to execute a program may be without a vDSO.
const BEGINNING: Duration = Duration::from_secs(2);

/// Where a process has its vDSO.
fn find(process: &Process) -> Result<Range<u64>, Trouble> {
    let began = Instant::now();
    loop {
        let maps = process.maps().map_err(Trouble::Proc)?;
        if let Some(map) = maps.into_iter().find(|map| map.pathname == MMapPath::Vdso) {
            return Ok(map.address.0..map.address.1);
        }
        if began.elapsed() > BEGINNING {
            return Err(Trouble::Why("it has no vDSO".into()));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn read(memory: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end - range.start).unwrap_or(0);
    let mut bytes = vec![0; length];
    memory.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// The vDSO of a foreign process, as it now is.
#[derive(Debug)]
pub(super) struct Place {
    memory: File,
    start: u64,
    /// What we, or a parent's tester, made of it.
    pub(super) skew: Option<Skew>,
}

impl Place {
    pub(super) fn find(process: &Process, image: &Image) -> Result<Self, Trouble> {
        let range = find(process)?;
        let memory = process.open_relative_flags("mem", OFlags::RDWR | OFlags::CLOEXEC);
        let memory = memory.map_err(Trouble::Proc)?;
        let bytes = read(&memory, &range).map_err(Trouble::Io)?;
        let skew = bytes.get(image.room()).and_then(stub::skew);
        if !image.made(bytes, skew.is_some()) {
            let why = "its vDSO is not the one that this system gave to us: it has 32 bits, or somebody rewrote it";
            return Err(Trouble::Why(why.into()));
        }
        Ok(Place { memory, start: range.start, skew })
    }

    /// Addresses that no thread may stand at while we write: within the first instructions of a function
    /// (at the very first is well), or in our own code.
    pub(super) fn sensitive(&self, image: &Image) -> Vec<Range<u64>> {
        let ranges = image.entries().map(|entry| entry.start + 1..entry.end).chain([image.room()]);
        ranges.map(|range| self.address(range.start)..self.address(range.end)).collect()
    }

    /// Leads the functions to our code, with these words.
    pub(super) fn lead_to(&self, image: &Image, skew: Skew) -> io::Result<()> {
        let bytes = image.with(skew);
        self.write(&bytes, image.room())?;
        image.entries().try_for_each(|entry| self.write(&bytes, entry))
    }

    /// Makes the functions begin as they did.
    pub(super) fn restore_entries(&self, image: &Image) -> io::Result<()> {
        image.entries().try_for_each(|entry| self.write(&image.bytes, entry))
    }

    /// Takes our code away.
    pub(super) fn restore_room(&self, image: &Image) -> io::Result<()> {
        self.write(&image.bytes, image.room())
    }

    fn write(&self, bytes: &[u8], range: Range<usize>) -> io::Result<()> {
        self.memory.write_all_at(&bytes[range.clone()], self.address(range.start))
    }

    fn address(&self, offset: usize) -> u64 {
        self.start + offset as u64
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn this_systems_vdso_has_what_is_needed() {
        let image = Image::own().expect("it is rewritten on this processor");
        let skew = Skew::true_from(17);
        let rewritten = image.with(skew);
        assert_eq!(rewritten.get(image.room()).and_then(stub::skew), Some(skew));
        let changed = rewritten.iter().zip(&image.bytes).filter(|(a, b)| a != b).count();
        assert!((stub::SIZE / 2..=stub::SIZE + 15).contains(&changed), "{changed}");
        assert!(image.made(rewritten.clone(), true) && !image.made(rewritten, false));
    }

    #[test]
    fn an_image_of_another_kind_or_without_room_is_refused() {
        let Image { bytes, .. } = Image::own().expect("it has what is needed");
        let mut full = bytes.clone();
        full.iter_mut().rev().take(16).for_each(|byte| *byte = 1);
        assert!(matches!(Image::parse(full), Err(Trouble::Why(why)) if why.contains("no room")));
        let mut other = bytes;
        other[18..20].copy_from_slice(&elf::EM_AARCH64.0.to_le_bytes());
        assert!(matches!(Image::parse(other), Err(Trouble::Processor(183))));
        assert!(matches!(Image::parse(vec![0; 4096]), Err(Trouble::Why(_))));
    }
}
