mod strata_plugin;
use strata_plugin::{ask as call, bytes, text};
strata_plugin::imports! { "host" { fn host_ask = "ask"; } }
#[no_mangle]
pub extern "C" fn shout(at: *mut u8, size: usize) -> u64 {
    text(at, size, |words| match words {
        "" => Err("nothing to shout".into()),
        _ => Ok(words.to_uppercase()),
    })
}
#[no_mangle]
pub extern "C" fn echo(at: *mut u8, size: usize) -> u64 {
    bytes(at, size, |data| Ok(data.to_vec()))
}
#[no_mangle]
pub extern "C" fn quote(at: *mut u8, size: usize) -> u64 {
    text(at, size, |words| Ok(strata_plugin::quoted(words)))
}
#[no_mangle]
pub extern "C" fn quiet(at: *mut u8, size: usize) -> u64 {
    bytes(at, size, |_| Ok(Vec::new()))
}
#[no_mangle]
pub extern "C" fn ask(at: *mut u8, size: usize) -> u64 {
    bytes(at, size, |data| call(host_ask, data))
}
