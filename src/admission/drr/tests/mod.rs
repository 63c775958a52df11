mod figures;
mod sim;
