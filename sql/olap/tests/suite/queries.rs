//! Queries with answers written down by hand.

use crate::world::World;
use types::SqlType;

fn small() -> World {
    let mut world = World::new();
    world.table("t", &[("a", SqlType::Int4), ("b", SqlType::Text), ("c", SqlType::Int8)], 1);
    world.insert("t", &["1|x|10", "2|y|20", "3|x|30"]);
    world.flush("t");
    world.insert("t", &["4|y|40", "5|NULL|NULL"]);
    world.freeze("t");
    world
}

#[test]
fn rows_of_files_and_memtables() {
    let world = small();
    world.check(
        "SELECT a, b, c FROM t ORDER BY a",
        &["1|x|10", "2|y|20", "3|x|30", "4|y|40", "5|NULL|NULL"],
    );
    world.check("SELECT count(*) FROM t", &["5"]);
    world.check(
        "SELECT b, count(*), sum(c) FROM t GROUP BY b ORDER BY b",
        &["x|2|40", "y|2|60", "NULL|1|NULL"],
    );
}
