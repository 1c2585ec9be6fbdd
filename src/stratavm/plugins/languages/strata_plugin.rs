//! A plugin of Strata in Rust (edition 2021): the calling convention, in one file. `mod strata_plugin;` and
//! `rustc --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib -O shout.rs -o shout.wasm`:
//!
//! ```
//! strata_plugin::imports! { "log" { fn log_write = "write"; } }
//!
//! #[no_mangle]
//! pub extern "C" fn shout(at: *mut u8, size: usize) -> u64 {
//!     strata_plugin::text(at, size, |words| {
//!         strata_plugin::ask(log_write, words.as_bytes())?;
//!         if words.is_empty() { Err("nothing to shout".into()) } else { Ok(words.to_uppercase()) }
//!     })
//! }
//! ```
//!
//! The argument is the host's, which frees it when the function returns; so is the answer. Bytes, text (UTF-8) and JSON
//! (as text) go the same way; the manifest says which it is. `Err` is an error in words: the host raises ErrorAnswer,
//! and the plugin goes on. A panic is a trap, and costs the plugin its instance.
#![allow(dead_code)]

use std::alloc::{alloc, dealloc, Layout};

const IS_ERROR: u64 = 1 << 31;

/// A function of the host, as it is imported.
pub type HostFunction = unsafe extern "C" fn(*const u8, usize) -> u64;

/// Functions of the host: `imports! { "module" { fn name = "name there"; } }`.
macro_rules! imports {
    ($($module:literal { $(fn $name:ident = $there:literal;)* })*) => {
        $(#[link(wasm_import_module = $module)]
        extern "C" { $(#[link_name = $there] fn $name(at: *const u8, size: usize) -> u64;)* })*
    };
}
pub(crate) use imports;

/// The host asks for room.
#[no_mangle]
pub extern "C" fn plugin_alloc(size: usize) -> *mut u8 {
    unsafe { alloc(Layout::from_size_align_unchecked(size.max(1), 1)) }
}

/// The host gives it back.
///
/// # Safety
/// It is what `plugin_alloc` gave, or an answer.
#[no_mangle]
pub unsafe extern "C" fn plugin_free(at: *mut u8, size: usize) {
    dealloc(at, Layout::from_size_align_unchecked(size.max(1), 1));
}

/// Answer bytes with bytes.
pub fn bytes(at: *mut u8, size: usize, answer: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>) -> u64 {
    let given: &[u8] = if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(at, size) } };
    match answer(given) {
        Ok(data) => packed(&data, 0),
        Err(words) => packed(words.as_bytes(), IS_ERROR),
    }
}

/// Answer text with text, or JSON with JSON.
pub fn text(at: *mut u8, size: usize, answer: impl FnOnce(&str) -> Result<String, String>) -> u64 {
    bytes(at, size, |given| {
        let words = std::str::from_utf8(given).map_err(|error| error.to_string())?;
        answer(words).map(String::into_bytes)
    })
}

fn packed(data: &[u8], mark: u64) -> u64 {
    assert!((data.len() as u64) < IS_ERROR);
    if data.is_empty() { return mark; } // the host frees what has bytes
    let at = plugin_alloc(data.len());
    assert!(!at.is_null()); // the memory is full: a trap in the host, instead of a wrong answer
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), at, data.len()) };
    (at as u64) << 32 | data.len() as u64 | mark
}

/// Call a function of the host; `Err` is what it refused, in words.
pub fn ask(function: HostFunction, argument: &[u8]) -> Result<Vec<u8>, String> {
    let answer = unsafe { function(argument.as_ptr(), argument.len()) };
    let (at, size) = ((answer >> 32) as usize as *mut u8, (answer & (IS_ERROR - 1)) as usize);
    let mut data = Vec::new();
    if size != 0 {
        data.extend_from_slice(unsafe { std::slice::from_raw_parts(at, size) });
        unsafe { plugin_free(at, size) };
    }
    if answer & IS_ERROR == 0 { Ok(data) } else { Err(String::from_utf8_lossy(&data).into_owned()) }
}

/// A text as JSON has it, between quotes.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| !matches!(c, '"' | '\\' | '\0'..='\x1f');
    let inside = text.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\u{:04x}", c as u32) });
    format!("\"{}\"", inside.collect::<String>())
}
