//! The spawner as a program of its own, for tests. The product's binary is its own spawner.

fn main() {
    lambent_sandbox::spawner_main()
}
