//! Files built from random tables, compared in every way of reading with a map.

use crate::model::{Model, Table};
use types::prng::Prng;

#[test]
fn random_tables_read_back_as_they_were_written() {
    for seed in 0..60 {
        let mut prng = Prng::new(seed);
        let table = Table::random(&mut prng);
        let model = Model::random(&mut prng, &table);
        let file = model.build(&mut prng, &table);
        file.check_points(&mut prng, &model);
        file.check_scans(&mut prng, &model);
        file.check_rows(&model);
    }
}
