//! Each example does what it says: its `main` is run, and it checks itself.

macro_rules! run {
    ($($example:ident: $path:literal)*) => {$(
        #[path = $path]
        mod $example;

        #[test]
        fn $example() {
            $example::main().expect(concat!("the example ", stringify!($example)));
        }
    )*};
}

run! {
    echo: "../echo.rs"
    https: "../https.rs"
    quic: "../quic.rs"
    grpc: "../grpc.rs"
    redis: "../redis.rs"
    partition: "../partition.rs"
}
