//! The program as Lambda starts it. (That there is such a test also makes `cargo test --workspace` build the
//! binary that `tests/tests/lambda.rs` starts.)

#[cfg(test)]
mod start {
    use std::process::Command;

    #[test]
    fn a_setting_that_cant_work_is_named_and_ends_the_start() {
        let output = Command::new(env!("CARGO_BIN_EXE_get")).env_clear().env("TABLE_NAME", "no spaces please").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.starts_with("TABLE_NAME: ")), (Some(78), true), "{said}");
    }
}
