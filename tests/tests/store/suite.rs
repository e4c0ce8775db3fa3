//! The contract suite on the real adapter.

use tests::test_store::TestStore;

shared::every_store_sentence!(TestStore::start().await.db);
