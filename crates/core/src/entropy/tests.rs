use super::Entropy;

#[test]
fn same_seed_gives_the_same_numbers_and_streams_do_not_disturb_each_other() {
    let mut one = Entropy::from_seed([7; 32]);
    let mut two = Entropy::from_seed([7; 32]);
    let secrets = [one.secret_u64(), one.secret_u64()];
    let _ = two.visible_u64();
    assert_eq!(secrets, [two.secret_u64(), two.secret_u64()]);
    assert_ne!(secrets[0], secrets[1]);
}

#[test]
fn every_half_of_the_seed_counts() {
    let mut seed = [0; 32];
    let zero = Entropy::from_seed(seed).secret_u64();
    seed[31] = 1;
    assert_ne!(zero, Entropy::from_seed(seed).secret_u64());
    seed = [0; 32];
    seed[0] = 1;
    assert_ne!(zero, Entropy::from_seed(seed).secret_u64());
}
